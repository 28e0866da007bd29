"""dfjax: train, evaluate and deploy deepfake detectors in JAX."""
