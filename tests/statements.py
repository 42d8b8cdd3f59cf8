"""What SageMaker does to a container, statement by statement: what the tests have to show.

Each statement is one that a program, a user or a client can observe. A test says which it shows
with ``@pytest.mark.contract("1.3-a")``; ``tests/contract_table.py`` makes a table of both. Ids stay
as they are: tests and issues name them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One thing that holds.

    Args:
        id: The section, and a letter within it.
        text: What holds, in one sentence.
        undocumented: AWS documents nothing of the kind: the sentence says what devkit decided.
        untested: Why no test shows it; ``None`` asks for one.
    """

    id: str
    text: str
    undocumented: bool = False
    untested: str | None = None

    @property
    def section(self) -> str:
        """The section of the contract."""
        return self.id.rpartition("-")[0]


def _said(id_: str, text: str) -> Statement:
    """What AWS documents, or what public logs of real jobs show."""
    return Statement(id_, text)


def _decided(id_: str, text: str) -> Statement:
    """What nobody documents, and devkit decided."""
    return Statement(id_, text, undocumented=True)


def _open(id_: str, text: str, why: str) -> Statement:
    """What no test shows, and why."""
    return Statement(id_, text, untested=why)


_S3_MODELS = "not yet: models in S3"
_GPUS = "not yet: GPUs"
_API = "not yet: it belongs to a request of the SageMaker API, which devkit does not answer"
_RULE = "a rule for images: the platform does nothing about it that could be observed"
_OF_AWS = "it is about a service or a machine of AWS that has no counterpart on one machine"

STATEMENTS = (
    # --- 1.1: how a training container is started ---------------------------------------------
    _said(
        "1.1-a",
        "With neither entrypoint nor arguments the image's ENTRYPOINT is kept and its CMD is "
        "replaced by the one argument `train`.",
    ),
    _said("1.1-b", "An entrypoint alone replaces ENTRYPOINT, and there is no argument `train`."),
    _said("1.1-c", "Arguments alone replace `train`."),
    _said("1.1-d", "An entrypoint and arguments replace both."),
    _said("1.1-e", "Entrypoint and arguments have 1 to 100 words of at most 256 characters."),
    _said(
        "1.1-f",
        "The entrypoint's first word is executed; its other words come before the arguments.",
    ),
    _said("1.1-g", "A script in a File channel can be what the entrypoint executes."),
    _said("1.1-h", "The channel of such a script has InputMode File and is FullyReplicated."),
    _said(
        "1.1-i",
        'Without ENTRYPOINT and without `train` on PATH the job fails: `exec: "train": executable '
        "file not found in $PATH`.",
    ),
    _said("1.1-j", "A `train` that is not executable fails the job."),
    _said("1.1-k", "SIGTERM reaches the process that was started (exec form of ENTRYPOINT)."),
    _open("1.1-l", "ENTRYPOINT is not `tini`, and not in shell form.", _RULE),
    _decided(
        "1.1-m",
        "What an image has in /opt/ml/input, /opt/ml/model and /opt/ml/output is hidden; what it "
        "has elsewhere in /opt/ml, such as /opt/ml/code, is seen.",
    ),
    _open("1.1-n", "An image for GPUs has CUDA, but never the NVIDIA driver.", _RULE),
    _said("1.1-o", "The working folder is the image's WORKDIR."),
    _said("1.1-p", "The user is root, unless the image sets USER."),
    # --- 1.2: the layout of /opt/ml -----------------------------------------------------------
    _said(
        "1.2-a",
        "/opt/ml/input/config holds hyperparameters.json, inputdataconfig.json and "
        "resourceconfig.json.",
    ),
    _said("1.2-b", "/opt/ml/input/data/<channel> is the folder of a File or FastFile channel."),
    _said("1.2-c", "/opt/ml/input/data/<channel>_<epoch> is the named pipe of a Pipe channel."),
    _decided("1.2-d", "There is no <channel>-manifest beside a channel."),
    _said("1.2-e", "What a job writes to /opt/ml/model becomes model.tar.gz."),
    _said("1.2-f", "What a job writes to /opt/ml/output/data becomes output.tar.gz."),
    _said("1.2-g", "What a job writes to /opt/ml/output/failure becomes its FailureReason."),
    _said("1.2-h", "Without CheckpointConfig there is no /opt/ml/checkpoints."),
    _open(
        "1.2-i",
        "/opt/ml/output/metrics/sagemaker is where built-in algorithms write metrics.",
        "seen in AWS's own algorithms only, as a variable of their images",
    ),
    _said("1.2-j", "What a job writes elsewhere, such as to /tmp, is kept nowhere."),
    _said("1.2-k", "Model and output are archived when the job has ended, not before."),
    _said("1.2-l", "Channels are read again when a spot job is restarted."),
    # --- 1.3: hyperparameters.json ------------------------------------------------------------
    _said("1.3-a", "hyperparameters.json is a flat object whose values are all strings."),
    _decided("1.3-b", "Without hyperparameters it is there, and `{}`."),
    _said(
        "1.3-c",
        "At most 100 hyperparameters, names of at most 256 and values of at most 2500 characters.",
    ),
    _decided("1.3-d", "A value with a line end is refused."),
    _said(
        "1.3-e", "A value of more than the 256 characters that older documents allow is a warning."
    ),
    _said("1.3-f", "A value arrives as the request has it: quotes that an SDK added stay."),
    _said("1.3-g", "The names that SDKs reserve, such as sagemaker_program, are passed on too."),
    # --- 1.4: inputdataconfig.json ------------------------------------------------------------
    _said(
        "1.4-a",
        "A channel's entry always has TrainingInputMode, S3DistributionType and RecordWrapperType, "
        "and nothing else but ContentType.",
    ),
    _said("1.4-b", "ContentType is left out where the channel has none."),
    _said("1.4-c", "S3DistributionType is FullyReplicated or ShardedByS3Key."),
    _said("1.4-d", "RecordWrapperType is None or RecordIO, as a string."),
    _said("1.4-e", "TrainingInputMode is File or Pipe; FastFile is written as File."),
    _decided("1.4-f", "Without channels the file is there, and `{}`."),
    _said("1.4-g", "A job has at most 20 channels."),
    # --- 1.5: resourceconfig.json -------------------------------------------------------------
    _said(
        "1.5-a",
        "resourceconfig.json has current_host, current_instance_type, current_group_name, hosts, "
        "instance_groups, network_interface_name and topology.",
    ),
    _said("1.5-b", "topology is null."),
    _said("1.5-c", "hosts is sorted as text (algo-10 before algo-2); in a group it is not."),
    _said("1.5-d", "A homogeneous cluster is one group, homogeneousCluster."),
    _said("1.5-e", "A heterogeneous cluster has up to 5 groups, whose hosts are numbered through."),
    _said("1.5-f", "network_interface_name is eth0."),
    _decided("1.5-g", "The container's host name is its current_host, and resolves."),
    _said("1.5-h", "The names of the other hosts resolve."),
    # --- 1.6: input data ----------------------------------------------------------------------
    _said("1.6-a", "File: the whole data is in the channel's folder before the start."),
    _decided("1.6-b", "File: the folder is read-only."),
    _said("1.6-c", "FastFile: the same folder, read-only."),
    _said("1.6-d", "FastFile takes S3Prefix only, and no prefix that ends within a folder's name."),
    _said("1.6-e", "Pipe: each epoch is all objects, in order, through a named pipe of its own."),
    _said("1.6-f", "Pipe: an epoch may be closed early, and the next begins anew."),
    _said("1.6-g", "Pipe: the pipe of the next epoch may come late."),
    _said("1.6-h", "Pipe: channels are read in any order, also side by side."),
    _open("1.6-i", "Pipe: each pipe is read by one process only.", _RULE),
    _said("1.6-j", "A channel's InputMode goes over the job's TrainingInputMode."),
    _said("1.6-k", "A channel's name has 1 to 64 letters, digits, dots, dashes, underscores."),
    _said("1.6-l", "S3Prefix: every object whose key starts with the prefix."),
    _said("1.6-m", "ManifestFile: a prefix and suffixes to it, all in one bucket."),
    _said(
        "1.6-n",
        "AugmentedManifestFile: JSON Lines, Pipe only, up to 16 AttributeNames, in their order; "
        "what other attributes hold is not streamed.",
    ),
    _said(
        "1.6-o",
        "AugmentedManifestFile: the object behind a -ref attribute is streamed, and "
        "the string form of any other.",
    ),
    _decided("1.6-p", "An object's path is its key after the prefix's last `/`."),
    _decided("1.6-q", "The path of an object of a manifest is its suffix."),
    _said("1.6-r", "ShardedByS3Key: each host gets its share of the objects; some may get none."),
    _decided("1.6-s", "FullyReplicated, the default: each host gets everything."),
    _said("1.6-t", "InstanceGroupNames limits a channel to groups."),
    _said("1.6-u", "ShuffleConfig: the order of a Pipe channel is new in every epoch."),
    _said("1.6-v", "ShuffleConfig: shards move between hosts from epoch to epoch."),
    _said("1.6-w", "CompressionType Gzip: undone in Pipe; refused in File."),
    _said("1.6-x", "In File mode compressed objects are delivered as they are."),
    _said("1.6-y", "RecordWrapperType RecordIO: each object is a record in Pipe; refused in File."),
    _said("1.6-z", "ContentType of at most 256 characters is told to the container."),
    _open("1.6-aa", "Channels may be on EFS or FSx.", _OF_AWS),
    _open("1.6-ab", "S3DataType Converse.", "not yet: AWS documents no layout of its files"),
    # --- 1.7: environment variables of training -----------------------------------------------
    _said("1.7-a", "TRAINING_JOB_NAME is the job's name."),
    _said("1.7-b", "TRAINING_JOB_ARN is its ARN, with the name in lower case."),
    _said("1.7-c", "The request's Environment is there."),
    _said("1.7-d", "AWS_REGION is there, AWS_DEFAULT_REGION is not."),
    _said("1.7-e", "There are no static access keys, and nothing of the developer's account."),
    _open(
        "1.7-f",
        "AWS_EXECUTION_ENV, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and ECS_CONTAINER_METADATA_URI "
        "lead to AWS's own services.",
        _OF_AWS,
    ),
    _open("1.7-g", "NVIDIA_VISIBLE_DEVICES is `void` without GPUs.", _GPUS),
    _said(
        "1.7-h",
        "Environment has at most 100 entries; names and values of at most 512 characters, names "
        "of letters, digits and _.",
    ),
    _decided(
        "1.7-i",
        "Where the request names one of the platform's variables, the platform's value counts.",
    ),
    _said("1.7-j", "The platform sets no SM_ and no SAGEMAKER_ variable."),
    _said(
        "1.7-k",
        "AWS's training toolkit makes its SM_ variables of what it finds, as it documents them.",
    ),
    _said("1.7-l", "So it does on each of several hosts."),
    # --- 1.8: outputs -------------------------------------------------------------------------
    _said("1.8-a", "The archives are <job>/output/model.tar.gz and <job>/output/output.tar.gz."),
    _said("1.8-b", "Members of model.tar.gz are relative to /opt/ml/model."),
    _decided(
        "1.8-c",
        "Members of output.tar.gz are relative to /opt/ml/output/data; the failure "
        "file is not among them.",
    ),
    _said("1.8-d", "The models of several hosts are merged into one archive."),
    _decided("1.8-e", "An empty /opt/ml/model is an empty model.tar.gz."),
    _decided("1.8-f", "An empty /opt/ml/output/data is an empty output.tar.gz."),
    _said("1.8-g", "OutputDataConfig.CompressionType NONE uploads files instead of archives."),
    _said("1.8-h", "The first 1024 characters of the failure file are the FailureReason."),
    _decided("1.8-i", "A failed job keeps its output.tar.gz and has no model artifact."),
    # --- 1.9: how a job ends ------------------------------------------------------------------
    _said("1.9-a", "Exit code 0 is Completed."),
    _said("1.9-b", "Any other is Failed."),
    _said("1.9-c", "Without a failure file the reason is `AlgorithmError: , exit code: <n>`."),
    _said("1.9-d", "With one it is `AlgorithmError: <text>, exit code: <n>`."),
    _said("1.9-e", "The whole reason has at most 1024 characters."),
    _decided("1.9-f", "A program killed by SIGKILL has exit code 137 and no reason of its own."),
    _said(
        "1.9-g",
        "AWS's training toolkit writes `ExecuteUserScriptError` and the command into the failure "
        "file.",
    ),
    _open("1.9-h", "RetryStrategy retries after InternalServerError.", _OF_AWS),
    _open("1.9-i", "CapacityError says that there are no instances.", _OF_AWS),
    _decided(
        "1.9-j",
        "Data that cannot be delivered is refused before the start, in the words of "
        "the API where they are known.",
    ),
    _said("1.9-k", "A host that fails fails the job, and the others are stopped."),
    # --- 1.10: stop, time limits, spot --------------------------------------------------------
    _said("1.10-a", "A stop is SIGTERM, and SIGKILL after 120 s."),
    _said("1.10-b", "A program that ends within the 120 s is not killed."),
    _said("1.10-c", "A stopped job is Stopped."),
    _said("1.10-d", "Meanwhile its status is Stopping."),
    _said("1.10-e", "What a stopped job left in /opt/ml/model is its model."),
    _said("1.10-f", "MaxRuntimeInSeconds is 1 s to 28 days, and 1 day by default."),
    _said("1.10-g", "When it is over: SIGTERM and 120 s; Stopped, with MaxRuntimeExceeded."),
    _open("1.10-h", "The whole job takes at most 30 days.", _OF_AWS),
    _said(
        "1.10-i",
        "EnableManagedSpotTraining needs MaxWaitTimeInSeconds, which is at least "
        "MaxRuntimeInSeconds.",
    ),
    _said(
        "1.10-j",
        "A spot interruption is SIGTERM with up to 120 s; then Interrupted, and Starting again.",
    ),
    _said("1.10-k", "When the wait is over: Stopped, with MaxWaitTimeExceeded."),
    _said("1.10-l", "Checkpoints are at /opt/ml/checkpoints, or at LocalPath."),
    _said("1.10-m", "What S3 has of them is there at the start."),
    _said("1.10-n", "What the job writes there is in S3 soon, what it deletes is deleted."),
    _said("1.10-o", "Secondary statuses: Starting, Downloading, Training, Uploading, and the end."),
    _said("1.10-p", "Downloading is of jobs with files only: not where all channels are pipes."),
    _said("1.10-q", "Failed and Stopped are secondary statuses of jobs that ended so."),
    _said("1.10-r", "Every secondary status has its message."),
    _open("1.10-s", "KeepAlivePeriodInSeconds keeps instances warm.", _OF_AWS),
    # --- 1.11: metrics and logs ---------------------------------------------------------------
    _said("1.11-a", "Every line on stdout and stderr is kept, the last one without an end too."),
    _decided("1.11-b", "Bytes that are not UTF-8 are kept as replacement characters."),
    _said("1.11-c", "The log is /aws/sagemaker/TrainingJobs, its stream <job>/algo-<n>-<time>."),
    _said("1.11-d", "At most 40 metrics; names of 1 to 255 and regexes of 1 to 500 characters."),
    _said("1.11-e", "Each line is searched for each regex; its first group is the value."),
    _said("1.11-f", "The last value of each metric is that of the finished job."),
    _said("1.11-g", "Metrics are in CloudWatch's /aws/sagemaker/TrainingJobs."),
    # --- 1.12: resources ----------------------------------------------------------------------
    _decided("1.12-a", "/dev/shm has Docker's 64 MB, or what `train.shm_bytes` says."),
    _open("1.12-b", "VolumeSizeInGB is the size of the volume below /opt/ml.", _OF_AWS),
    _said("1.12-c", "EnableNetworkIsolation leaves a container no network but its peers."),
    # --- 1.13: limits of CreateTrainingJob ----------------------------------------------------
    _said("1.13-a", "TrainingJobName has 1 to 63 letters, digits and dashes, none at its ends."),
    _said("1.13-b", "S3 URIs are s3:// or https://, of at most 1024 characters."),
    _said("1.13-c", "All that is wrong with a request is refused before any work starts."),
    _open(
        "1.13-d", "TrainingImage has at most 255 characters; TrainingImage xor AlgorithmName.", _API
    ),
    _open("1.13-e", "InstanceCount, InstanceGroups (5), Tags (50) and RoleArn have limits.", _API),
    _open("1.13-f", "MaxPendingTimeInSeconds is 1800 to 2419200.", _API),
    # --- 2.1: start and stop of a hosting container -------------------------------------------
    _said(
        "2.1-a",
        "The image's ENTRYPOINT is kept and its CMD is replaced by the one argument `serve`.",
    ),
    _said("2.1-b", "Hosting has no entrypoint and no arguments of its own."),
    _said("2.1-c", "The environment is the image's ENV and the request's Environment."),
    _open(
        "2.1-d",
        "The container's name in DNS is its ContainerHostname.",
        "not yet: inference pipelines",
    ),
    _said("2.1-e", "The user is root."),
    _said("2.1-f", "SIGTERM reaches the process that was started, and SIGKILL follows after 30 s."),
    _said("2.1-g", "A server that crashes is started again and again."),
    # --- 2.2: model files ---------------------------------------------------------------------
    _said("2.2-a", "model.tar.gz is extracted to /opt/ml/model before the container starts."),
    _said("2.2-b", "/opt/ml/model is read-only."),
    _said("2.2-c", "An archive with symbolic links is refused."),
    _said("2.2-d", "What is no whole gzipped tar archive fails the server, not its creation."),
    _said("2.2-e", "Without a model /opt/ml/model is empty."),
    _said("2.2-f", "A model may be uncompressed: files as they are."),
    _said("2.2-g", "S3DataSource: S3Prefix ends with `/`, S3Object is one file."),
    _said("2.2-h", "Keys that cannot be paths, or are file and folder, fail the deployment."),
    _open("2.2-i", "Up to 5 AdditionalModelDataSources are mounted beside it.", _S3_MODELS),
    _open("2.2-j", "ModelDataDownloadTimeoutInSeconds is 60 to 3600.", _S3_MODELS),
    _open("2.2-k", "VolumeSizeInGB is 1 to 512.", _OF_AWS),
    # --- 2.3: the HTTP contract ---------------------------------------------------------------
    _said(
        "2.3-a",
        "The container listens on 0.0.0.0:8080; the address is asked from outside, so "
        "127.0.0.1 is not reached.",
    ),
    _said("2.3-b", "GET /ping is good with 200, whatever its body, and with nothing else."),
    _said("2.3-c", "A ping has 2 s."),
    _said("2.3-d", "The ping has to be good within 8 minutes, or the time-out of the request."),
    _said("2.3-e", "Invocations come after the first good ping."),
    _decided("2.3-f", "Pings go on as long as the server runs, every 5 s."),
    _decided("2.3-g", "A server whose ping is bad three times in a row is replaced."),
    _said("2.3-h", "POST /invocations is good with any 2xx; the body passes unchanged."),
    _said("2.3-i", "An answer has 60 s from the end of the request."),
    _said("2.3-j", "A connection is accepted within 250 ms."),
    _said("2.3-k", "When time is over the client has its answer; the container goes on."),
    _said("2.3-l", "A client that goes away does not interrupt the container."),
    _said("2.3-m", "A real-time request has at most 25 MB."),
    _decided("2.3-n", "A larger one is answered 413, without the container."),
    # --- 2.4: request headers -----------------------------------------------------------------
    _said("2.4-a", "Headers that InvokeEndpoint does not know are stripped."),
    _said("2.4-b", "Content-Type, Accept, Custom-Attributes and Target-Model reach the container."),
    _decided("2.4-c", "So do Target-Variant, Inference-Id and Session-Id; no others do."),
    _decided("2.4-d", "X-Amzn-SageMaker-Accept reaches it as Accept."),
    _said("2.4-e", "Each header has its limit; what is over it is a ValidationError."),
    _said("2.4-f", "POST /endpoints/<name>/invocations is /invocations to the container."),
    _open("2.4-g", "The platform may add headers, which a container must ignore.", _RULE),
    # --- 2.5: the response --------------------------------------------------------------------
    _said("2.5-a", "The client gets Content-Type, Custom-Attributes and the invoked variant."),
    _said("2.5-b", "No other header of the container's reaches it."),
    _said("2.5-c", "Session-Id with Expires opens a session: New-Session-Id."),
    _said("2.5-d", "Closed-Session-Id closes it."),
    # --- 2.6: errors --------------------------------------------------------------------------
    _said(
        "2.6-a",
        "4xx and 5xx of the container are ModelError 424, with Message, OriginalStatusCode, "
        "OriginalMessage and LogStreamArn.",
    ),
    _said("2.6-b", 'Its text: `Received server error (500) from primary with message "…". See …`.'),
    _decided("2.6-c", "The text for 4xx: `Received client error (4xx) from primary …`."),
    _said("2.6-d", "Message and OriginalMessage have at most 2048 characters."),
    _said("2.6-e", "A time-out is a ModelError with OriginalStatusCode 0 and a text of its own."),
    _said("2.6-f", "So is a connection that is refused or broken."),
    _said("2.6-g", "A bad request is a ValidationError 400."),
    _said("2.6-h", "An unknown endpoint: `Endpoint <name> of account <account> not found.`"),
    _said("2.6-i", "An unknown variant is a ValidationError."),
    _said("2.6-j", "A superfluous TargetContainerHostname is a ValidationError."),
    _said("2.6-k", "Without a container it is ServiceUnavailable 503."),
    _open(
        "2.6-l",
        "ModelNotReadyException 429 while a serverless or multi-model container loads.",
        "not yet: cold starts",
    ),
    _open("2.6-m", "InternalFailure 500 and InternalDependencyException 530.", _OF_AWS),
    # --- 2.7: streaming -----------------------------------------------------------------------
    _said("2.7-a", "Chunks reach the client as they come, each as a PayloadPart."),
    _said("2.7-b", "A stream that breaks ends with ModelStreamError StreamBroken."),
    _said("2.7-c", "One that takes more than 8 minutes: ModelInvocationTimeExceeded."),
    _said("2.7-d", "X-Amzn-SageMaker-Content-Type is the container's Content-Type."),
    _decided("2.7-e", "The first part has to come as soon as an answer: within 60 s."),
    _open("2.7-f", "InternalStreamFailure is the platform's own.", _OF_AWS),
    _open(
        "2.7-g",
        "Bidirectional streams are WebSockets at /invocations-bidirectional-stream.",
        "not yet: bidirectional streams",
    ),
    # --- 2.12: environment variables of hosting -----------------------------------------------
    _said("2.12-a", "The request's Environment is there, the toolkits' variables among it."),
    _decided("2.12-b", "AWS_REGION is there."),
    _said("2.12-c", "Nothing of the developer's account is."),
    _open("2.12-d", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI leads to AWS's credentials.", _OF_AWS),
    _said(
        "2.12-e",
        "At most 100 entries; names and values of at most 1024 characters, names of "
        "letters, digits and _; 32 KB in all.",
    ),
    _said("2.12-f", "SAGEMAKER_BIND_TO_PORT and its like are of pipelines only."),
    # --- 2.13: logs ---------------------------------------------------------------------------
    _said(
        "2.13-a", "The log is /aws/sagemaker/Endpoints/<name>, its stream <variant>/<instance-id>."
    ),
    _said("2.13-b", "Every line that a server writes is kept, to its last."),
    # --- 4: Lambda and API Gateway in front of an endpoint --------------------------------------
    _said("4-a", "A handler's error is 200 with FunctionError Unhandled and its envelope."),
    _said("4-b", "A module that does not parse is Runtime.UserCodeSyntaxError."),
    _said("4-c", "A function that takes longer than its time-out is Sandbox.Timedout."),
    _decided("4-d", "A process that ends instead of answering is Runtime.ExitError."),
    _said("4-e", "More than 6 MB is no answer: Function.ResponseSizeTooLarge."),
    _said("4-f", "A crash, a time-out or too large an answer touches its own invocation alone."),
    _said("4-g", "What fails behind an HTTP API is 500 with Internal Server Error."),
    _said("4-h", "memory_limit_in_mb is text, environment and time-out are the function's."),
    _said("4-i", "A function behind an HTTP API or a URL of its own is given payload format 2.0."),
    _said("4-j", "A result without statusCode is the body, as JSON with 200."),
    _decided("4-k", "A function that is throttled behind an HTTP API is 503."),
    _said("4-l", "A request of more than 6 MB is 413 before a function sees it."),
    _said("4-m", "What fails behind a function URL is 502."),
)
