"""Small pictures of decisions, drawn by our own code: quick enough for a command and for the status page.

The pictures of a report, which have to lay out years, are drawn by altair in ``kairos.web.pictures``.
"""
