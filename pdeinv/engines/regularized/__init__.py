"""One unknown by regularized Gauss-Newton steps."""
