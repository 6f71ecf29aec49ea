"""Load tests that put the product beside other stacks, on the same database, in the same run."""
