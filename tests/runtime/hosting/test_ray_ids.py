from runtime.hosting.standalone.listener.ray_ids import ray_source
from runtime.protocol.ids import parse_id


def test_rays_are_well_formed_local_and_distinct():
    for _ in range(50):
        new_ray = ray_source()
        rays = [new_ray() for _ in range(2000)]
        assert len(set(rays)) == len(rays)
        assert {parse_id(ray).label for ray in rays} == {1}
