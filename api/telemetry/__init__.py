"""What the API reports to Prometheus and in traces."""
