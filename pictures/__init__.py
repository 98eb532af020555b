"""Dashboards as pictures, drawn without Grafana: from the file that Grafana reads, and live data.

`model` reads the file, `data` asks Prometheus and Loki, `figures` and `texts` draw a panel, `page` puts a page
together, `shot` takes its picture with Chromium.
"""
