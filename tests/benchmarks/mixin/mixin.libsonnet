(import 'config.libsonnet') + (import 'alerts.libsonnet') + {
  grafanaDashboards+:: { 'shop.json': { panels: [{ expr: 'sum(orders_total{%(selector)s})' % $._config }] } },
}
