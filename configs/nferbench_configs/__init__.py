"""The presets that come with nferbench, as YAML files; `nferbench.config` reads them."""
