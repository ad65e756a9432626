"""The writers: one module a question of design.md, each from tables to answers, figures and tables."""
