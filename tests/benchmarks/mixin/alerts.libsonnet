{
  prometheusAlerts+:: {
    groups+: [{ name: 'shop', rules: [{ alert: 'ShopDown', expr: 'up{%(selector)s} == 0' % $._config }] }],
  },
}
