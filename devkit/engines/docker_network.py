"""A network of the docker engine in which every host has its address before it starts.

The engine's own DNS knows only containers that run: a host that has ended would be gone for the
others, and AWS's training toolkit waits a quarter of an hour for the names of all hosts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import docker
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from devkit.engines.base import Network
from devkit.errors import EngineError

NONE = "none"
"""The engine's own network of nobody."""

_TRIES = 5
_ISOLATED = {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}
_OVERLAPS = "overlaps"


def create(
    client: docker.APIClient,
    name: str,
    hosts: Sequence[str],
    *,
    labels: Mapping[str, str],
    isolated: bool,
) -> Network:
    """Make the network; a host that is to be alone gets none but its loopback.

    From an internal network of engines before 27 the machine itself can still be reached: an
    isolated run of several hosts is kept from all other machines only.

    Fixed addresses are allowed only where the subnet was asked for. Which one is free on this
    machine the engine knows best: it is asked for any network, and then for that very one.

    Raises:
        EngineError: There is no free subnet that is large enough.
        APIError: The engine refused.
    """
    if isolated and len(hosts) == 1:
        return Network(name=NONE, addresses=dict.fromkeys(hosts, "127.0.0.1"))
    for _ in range(_TRIES):
        subnet = _free_subnet(client, name, labels)
        if subnet.num_addresses < len(hosts) + 3:  # its own, the gateway's, broadcast
            raise EngineError(
                f"the engine's networks have {subnet.num_addresses} addresses, too few for "
                f"{len(hosts)} hosts",
                remedy="see default-address-pools in the engine's configuration",
            )
        try:
            client.create_network(
                name,
                driver="bridge",
                labels=dict(labels),
                internal=isolated,
                options=_ISOLATED if isolated else None,
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
            )
        except APIError as error:
            if _OVERLAPS in str(error.explanation):  # somebody else has just taken it
                continue
            raise
        addresses = (str(address) for address in list(subnet.hosts())[1:])
        return Network(name=name, addresses=dict(zip(hosts, addresses, strict=False)))
    raise EngineError(f"other programs took every subnet that the engine had for {name}")


def _free_subnet(
    client: docker.APIClient, name: str, labels: Mapping[str, str]
) -> ipaddress.IPv4Network:
    made = client.create_network(name, driver="bridge", labels=dict(labels))
    try:
        pools = client.inspect_network(made["Id"])["IPAM"]["Config"]
    finally:
        client.remove_network(made["Id"])
    subnets = [ipaddress.ip_network(pool["Subnet"]) for pool in pools]
    for subnet in subnets:
        if isinstance(subnet, ipaddress.IPv4Network):
            return subnet
    raise EngineError(f"the engine gave {name} no IPv4 subnet, but {subnets}")
