"""How probable a model finds data: bounds, importance sampling, quadrature."""
