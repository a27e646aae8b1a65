"""Metrics as Prometheus text, read back by the client library."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics.exposition import counter, gauge, histogram


def parsed(text):
    (family,) = text_string_to_metric_families(text)
    return family.type, [(sample.name, sample.labels, sample.value) for sample in family.samples]


def test_gauges_and_counters():
    assert parsed(gauge("depth", ("actor_name", "inbox"), [(("a", "dispatch"), 3)])) == (
        "gauge",
        [("depth", {"actor_name": "a", "inbox": "dispatch"}, 3.0)],
    )
    assert parsed(counter("starts", ("actor_name",), [(("a",), 2), (("b",), 0)])) == (
        "counter",
        [("starts_total", {"actor_name": "a"}, 2.0), ("starts_total", {"actor_name": "b"}, 0.0)],
    )


def test_histograms():
    kind, samples = parsed(histogram("seconds", ("actor_name",), [(("a",), [("0.1", 1), ("+Inf", 3)], 2.5)]))
    assert kind == "histogram"
    assert samples == [
        ("seconds_bucket", {"actor_name": "a", "le": "0.1"}, 1.0),
        ("seconds_bucket", {"actor_name": "a", "le": "+Inf"}, 3.0),
        ("seconds_count", {"actor_name": "a"}, 3.0),
        ("seconds_sum", {"actor_name": "a"}, 2.5),
    ]


def test_odd_label_values_are_escaped():
    odd = 'a"b\\c\nd'
    assert parsed(gauge("x", ("actor_name",), [((odd,), 1)]))[1] == [("x", {"actor_name": odd}, 1.0)]
