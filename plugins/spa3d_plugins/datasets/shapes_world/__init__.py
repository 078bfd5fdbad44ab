"""The embedded objects: shapes made of parts, their clouds, and facts about them.

``meshes`` has the solids and ``categories`` the categories; ``objects`` draws an object and samples its surface;
``text`` draws conversations about it. The dataset ``shapes`` uses these modules.
"""
