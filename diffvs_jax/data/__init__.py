"""Songs in, training batches out. Never imports jax: data workers run it."""
