"""One file per question, each printing one JSON object; ``python -m benchmarks`` runs them all."""
