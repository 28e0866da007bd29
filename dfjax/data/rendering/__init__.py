"""The renderer of the synthetic corpus: heads, portraits, scenes, and forgeries of them."""
