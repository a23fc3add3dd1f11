"""The catalogue: types that are the documentation, and the YAML files that fill them."""
