"""Runs the whole chat stack on one machine: servers, services and Traefik, without Docker or root."""
