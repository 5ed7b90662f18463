"""What Prometheus and Grafana are given is true."""
