"""The pages that the operators' listener serves over HTTP."""
