"""The embedded world: nameable objects made of parts, their clouds, and what is true about them.

``meshes`` has the solids, ``categories`` says what a chair is, ``objects`` draws one chair and samples its surface,
``text`` conversations about it. The dataset ``shapes`` is a thin front of these.
"""
