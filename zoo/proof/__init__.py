"""The proof that an exported file computes what its model computes: inputs, exact results, budgets, verdicts."""
