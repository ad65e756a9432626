"""Pictures of the probes, drawn from the arrays that they leave: one module per probe."""
