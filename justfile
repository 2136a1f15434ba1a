# Everything that CI checks.
check:
    .ci/run

# Rewrite generated pages and recorded replies, then review the diff.
update:
    UPDATE=1 cargo test

# Speed of the hot path.
bench:
    cargo bench
