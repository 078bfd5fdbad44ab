"""Layout of a folder of any clouds: its files, texts, names, splits and look-alikes.

``files`` finds the files (with ``walk``), ``annotations`` reads what texts say of them (``tables``, ``columns``,
``texts``, ``lookup``), ``names`` what their names say, and ``splits`` and ``groups`` divide them. ``index`` joins all
of this for the dataset ``folder``.
"""
