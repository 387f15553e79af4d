"""On the path of each Python that a step starts, which loads ``sitecustomize`` from it; nothing else is here."""
