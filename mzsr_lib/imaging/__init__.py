"""The camera, and undoing it without learning: pictures, kernels, degradation, metrics, closed-form restoration."""
