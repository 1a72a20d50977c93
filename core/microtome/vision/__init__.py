"""What activations say: lenses, attribution, head detectors, projections."""
