"""EDM: noise, loss and samplers around any ``denoise`` function. Knows no network."""
