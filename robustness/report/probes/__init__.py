"""Pictures of the probes, drawn from the arrays that they leave: a module a probe."""
