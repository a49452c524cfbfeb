import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.sentinel1.annotation import (
    SPEED_OF_LIGHT,
    Annotation,
    GeolocationGrid,
    parse_annotation,
)
from floodloom.sentinel1.geometry import (
    ImageGeometry,
    annotated_orbit,
    image_geometry,
    zero_doppler,
)
from floodloom.sentinel1.orbit import Orbit, fit_orbit, geodetic_to_earth_fixed
from floodloom.sentinel1.product import open_product
from floodloom.simulate.acquisition import plan_acquisition


@pytest.fixture(scope="module")
def acquisition():
    return plan_acquisition(15.0, 45.0, 100.0, lines=400, samples=500, spacing=10.0)


def test_place_is_in_the_middle_of_its_image(acquisition) -> None:
    target = geodetic_to_earth_fixed(np.array([15.0]), np.array([45.0]), np.array([100.0]))
    line, pixel, slant_range = acquisition.geometry.locate(target)
    assert line[0] == pytest.approx(199.5, abs=0.01)
    assert pixel[0] == pytest.approx(249.5, abs=0.01)
    assert slant_range[0] == pytest.approx(880e3, abs=0.5)


def test_solution_has_zero_doppler_and_is_seen_to_the_right(acquisition) -> None:
    longitude, latitude = np.meshgrid(np.linspace(14.9, 15.1, 5), np.linspace(44.95, 45.05, 5))
    points = geodetic_to_earth_fixed(longitude, latitude, 300.0 * (longitude - 14.9))
    time, slant_range = zero_doppler(points, acquisition.geometry.orbit)
    position = acquisition.geometry.orbit.position(time)
    velocity = acquisition.geometry.orbit.velocity(time)
    sight = points - position
    np.testing.assert_allclose((sight * velocity).sum(-1) / 7500, 0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(sight, axis=-1), slant_range, atol=1e-5)
    right = np.cross(velocity, position)
    assert ((sight * right).sum(-1) > 0).all()


def test_relief_is_displaced_towards_the_radar(acquisition) -> None:
    place = np.array([15.0]), np.array([45.0])
    _, low, _ = acquisition.geometry.locate(geodetic_to_earth_fixed(*place, np.array([0.0])))
    _, high, _ = acquisition.geometry.locate(geodetic_to_earth_fixed(*place, np.array([100.0])))
    # a height h moves the image by h / tan(incidence) towards the radar; 38 degrees here
    assert (low - high)[0] * 10 == pytest.approx(100 / np.tan(np.radians(38)), rel=0.06)


def test_geometry_survives_its_json(acquisition) -> None:
    geometry = acquisition.geometry
    copy = ImageGeometry.from_json(geometry.to_json())
    points = geodetic_to_earth_fixed(np.array([15.01]), np.array([45.0]), np.array([50.0]))
    np.testing.assert_array_equal(copy.locate(points), geometry.locate(points))


def test_nan_stays_nan(acquisition) -> None:
    points = np.array([[np.nan] * 3, geodetic_to_earth_fixed(15.0, 45.0, 0.0)])
    line, pixel, _ = acquisition.geometry.locate(points)
    assert np.isnan(line[0])
    assert np.isnan(pixel[0])
    assert np.isfinite([line[1], pixel[1]]).all()


def test_orbit_that_does_not_cover_is_refused(acquisition) -> None:
    with pytest.raises(InputError, match=r"state vectors cover .* use a product or orbit file"):
        fit_orbit(acquisition.time, acquisition.position, 0.0, 999.0)


def test_rounded_state_times_are_put_right(acquisition) -> None:
    """Stamps that are 0.4 ms late are found from the geolocation grid; larger ones are left."""
    geometry = acquisition.geometry
    longitude, latitude = np.meshgrid(np.linspace(14.9, 15.1, 5), np.linspace(44.95, 45.05, 5))
    longitude, latitude, height = longitude.ravel(), latitude.ravel(), np.full(25, 100.0)
    points = geodetic_to_earth_fixed(longitude, latitude, height)
    time, slant_range = zero_doppler(points, geometry.orbit)
    none = np.zeros(25)
    grid = GeolocationGrid(
        time, slant_range * 2 / SPEED_OF_LIGHT, none, none, latitude, longitude, height, none
    )

    def orbit_of(late: float, rounded: bool) -> Orbit:
        annotation = Annotation(
            lines=geometry.lines,
            samples=geometry.samples,
            first_line_time=np.datetime64("2015-02-03T04:31:09.215560"),
            azimuth_time_interval=geometry.azimuth_time_interval,
            range_pixel_spacing=10.0,
            azimuth_pixel_spacing=10.0,
            orbit_time=acquisition.time + late,
            orbit_position=acquisition.position,
            orbit_time_rounded=rounded,
            conversion=geometry.conversion,
            grid=grid,
        )
        return annotated_orbit(annotation)

    for late, rounded, left in ((0.4e-3, True, 0), (0.4e-3, False, 0.4e-3), (2e-3, True, 2e-3)):
        found, _ = zero_doppler(points, orbit_of(late, rounded))
        np.testing.assert_allclose(found - time, left, atol=1e-8)


def test_real_tie_points(shared_data) -> None:
    products = sorted((shared_data / "sentinel1_safe").glob("*.zip"))
    assert products
    for path in products:
        product = open_product(path)
        annotation = parse_annotation(product.xml("annotation", "vv"), path.name)
        geometry, grid = image_geometry(annotation), annotation.grid
        points = geodetic_to_earth_fixed(grid.longitude, grid.latitude, grid.height)
        time, slant_range = zero_doppler(points, geometry.orbit)
        lines_off = np.abs(time - grid.azimuth_time) / annotation.azimuth_time_interval
        metres_off = np.abs(slant_range - grid.slant_range_time * SPEED_OF_LIGHT / 2)
        assert lines_off.max() < 0.01, path.name
        assert metres_off.max() < 0.01, path.name
