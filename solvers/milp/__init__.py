"""Mixed-integer programs: exact backends, search around predictions, and neighbourhoods of incumbents."""
