"""Pages for people: a story or a status goes in, one self-contained HTML page comes out. Nothing is decided.

``kairos.web.report`` draws pictures and loads altair; ``kairos.web.status`` does not. ``kairos.web.live`` reads the
status of a project.
"""
