"""What is different in each kind of place, and why: data.

A rule says what is seen in places of its kinds that is not as elsewhere. Sections are those of the
contract; what nobody had written down before is in docs/adr/0020.
"""

from __future__ import annotations

from devkit.parity.comparing import ABSENT, Expected
from devkit.parity.facts import Kind

_ABSENT = r"\(absent\)"
assert ABSENT == "(absent)"  # noqa: S101 - the pattern is written for it

_HERE: frozenset[Kind] = frozenset({"docker", "process"})
_PROCESS: frozenset[Kind] = frozenset({"process"})
_SDK: frozenset[Kind] = frozenset({"sagemaker-local"})
_AWS: frozenset[Kind] = frozenset({"aws"})

_SECTION_6 = "contract, section 6"
_PLATFORM = r"(?!TRAINING_JOB_|AWS_|SM_|SAGEMAKER_|PATH$|HOME$)"
"""Before a name: none that the platform sets."""

EXPECTED: tuple[Expected, ...] = (
    # --- the process engine ------------------------------------------------------------------
    Expected(
        kinds=_PROCESS,
        area="environment",
        name=f"{_PLATFORM}.+",
        value=_ABSENT,
        source="ADR 0002, docs/engines.md",
        sentence="processes run the program folder alone, without the variables of the image (ENV)",
    ),
    Expected(
        kinds=_PROCESS,
        area="environment",
        name="PATH|VIRTUAL_ENV",
        source="ADR 0002, docs/engines.md",
        sentence="processes have their packages from a virtual environment, which is on PATH",
    ),
    Expected(
        kinds=_PROCESS,
        area="environment",
        name="HOME",
        source="ADR 0002",
        sentence="processes have a home of their own, not that of the machine's user",
    ),
    Expected(
        kinds=_PROCESS,
        area="configuration|environment.*|container|folders|data|job that fails on purpose",
        name=r"\(seen\)",
        value="no",
        source="ADR 0002",
        sentence="where namespaces are refused processes have no /opt/ml, and the probe is not "
        "found there",
    ),
    # --- devkit's own engines ----------------------------------------------------------------
    Expected(
        kinds=_HERE,
        area="folders",
        name=r"/opt/ml/input/data/.+",
        value="read-only",
        source="ADR 0003",
        sentence="channels are mounted read-only: they are the developer's only copy",
    ),
    # --- the SageMaker SDK's local mode ------------------------------------------------------
    Expected(
        kinds=_SDK,
        area="configuration",
        name=r"resourceconfig\.json: (current_host|hosts)",
        value=r'\[?"algo-1-[a-z0-9]{5}"\]?',
        source=_SECTION_6,
        sentence="hosts have a random end to their names",
    ),
    Expected(
        kinds=_SDK,
        area="configuration",
        name=r"inputdataconfig\.json: .+\.(S3DistributionType|RecordWrapperType)",
        value=_ABSENT,
        source=_SECTION_6,
        sentence="inputdataconfig.json has only TrainingInputMode and ContentType",
    ),
    Expected(
        kinds=_SDK,
        area="configuration",
        name=r"resourceconfig\.json: (current_group_name|instance_groups|topology)",
        value=_ABSENT,
        source=_SECTION_6,
        sentence="resourceconfig.json has no groups and no topology",
    ),
    Expected(
        kinds=_SDK,
        area="environment",
        name="TRAINING_JOB_ARN",
        value=_ABSENT,
        source=_SECTION_6,
        sentence="there is no TRAINING_JOB_ARN",
    ),
    Expected(
        kinds=_SDK,
        area="environment",
        name=r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|DEFAULT_REGION)"
        r"|S3_ENDPOINT_URL|AWS_ENDPOINT_URL(_S3)?",
        source=_SECTION_6,
        sentence="keys and the address of S3 are put into the container; here they are those of "
        "the local AWS",
    ),
    Expected(
        kinds=_SDK,
        area="answers",
        name="26 MB: .*",
        source=_SECTION_6,
        sentence="no limit of 25 MB stands before the container, which answers by itself",
    ),
    Expected(
        kinds=_SDK,
        area="output",
        name=r"\(archive of\)|/opt/ml/output/failure",
        source=_SECTION_6,
        sentence="output.tar.gz is the whole of /opt/ml/output",
    ),
    Expected(
        kinds=_SDK,
        area="container|environment",
        name="hostname|HOSTNAME",
        value="[0-9a-f]{12}",
        source="ADR 0020",
        sentence="the host name is the container's id, and not that of resourceconfig.json",
    ),
    Expected(
        kinds=_SDK,
        area="container",
        name="terminal",
        value="yes",
        source="ADR 0020",
        sentence="standard output is a terminal (tty: true in the SDK's file for Compose)",
    ),
    Expected(
        kinds=_SDK,
        area="environment",
        name="TERM",
        value="xterm",
        source="ADR 0020",
        sentence="Docker sets TERM, because standard output is a terminal",
    ),
    # --- both the SDK and AWS ----------------------------------------------------------------
    Expected(
        kinds=_SDK | _AWS,
        area="configuration",
        name=r"resourceconfig\.json: (current_instance_type|instance_groups)",
        value=r".*ml\..*",
        source="contract, section 1.5",
        sentence="a job names the instance type of [aws]; on an engine of this machine it is "
        "[train] instance_type, local by default",
    ),
    # --- AWS, and the local AWS in its place -------------------------------------------------
    Expected(
        kinds=_AWS,
        area="environment",
        name="AWS_(ENDPOINT_URL|ACCESS_KEY_ID|SECRET_ACCESS_KEY|DEFAULT_REGION)",
        source="docs/local-aws.md",
        sentence="the local AWS tells containers where it is, with keys that are worth nothing",
    ),
    Expected(
        kinds=_AWS,
        area="environment",
        name="AWS_EXECUTION_ENV|AWS_CONTAINER_.+|ECS_.+|NVIDIA_.+",
        source="contract, section 1.7",
        sentence="the platform sets what AWS's own clients read",
    ),
    Expected(
        kinds=_AWS,
        area="container|environment",
        name="hostname|HOSTNAME",
        value=r"ip-.+",
        source="contract, section 1.5",
        sentence="the host name is the instance's; resourceconfig.json has the one to use",
    ),
    Expected(
        kinds=_AWS,
        area="container",
        name="shared memory",
        source="contract, section 1.12",
        sentence="how large /dev/shm is in training is not documented",
    ),
)
