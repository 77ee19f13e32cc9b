"""The report of a run as one HTML page: a section per file, on the base of ``show.page``."""
