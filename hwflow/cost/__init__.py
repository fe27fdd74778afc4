"""What a design costs: reuse factors, folds, memories, cycles."""
