"""Pictures as data: each function takes a story and gives a specification; ``svg`` draws it, without a browser."""
