"""Speed of the project's steps beside the plain way of making them: python -m benchmarks."""
