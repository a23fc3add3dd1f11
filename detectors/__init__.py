"""Statistical detectors: frozen specs with two pure functions, `init` and `step`, over arrays of entities."""
