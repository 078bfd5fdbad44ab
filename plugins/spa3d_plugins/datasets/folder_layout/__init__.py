"""Layout of a folder of any clouds: its files, texts, names, splits and look-alikes.

``index`` joins the others: ``files`` finds the files (``walk``), ``annotations`` reads what is said of them (``tables``,
``columns``, ``texts``, ``lookup``), ``names`` what their names say; ``splits`` and ``groups`` divide them. The dataset
``folder`` uses these modules.
"""
