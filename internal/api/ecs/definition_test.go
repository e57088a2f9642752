package ecs

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

type (
	register  = ecsapi.RegisterTaskDefinitionInput
	container = ecsapi.ContainerDefinition
)

// on changes the first container.
func on(change func(c *container)) func(*register) {
	return func(in *register) { change(&in.ContainerDefinitions[0]) }
}

// and adds a second container.
func and(c container) func(*register) {
	return func(in *register) {
		if c.Name == nil {
			c.Name = p("side")
		}
		if c.Image == nil {
			c.Image = p("side:1")
		}
		in.ContainerDefinitions = append(in.ContainerDefinitions, c)
	}
}

func both(changes ...func(*register)) func(*register) {
	return func(in *register) {
		for _, change := range changes {
			change(in)
		}
	}
}

func logs(driver ecsapi.LogDriver, options ...string) func(*register) {
	return on(func(c *container) {
		c.LogConfiguration = &ecsapi.LogConfiguration{LogDriver: driver, Options: map[string]string{"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}}
		for _, option := range options {
			name, value, _ := strings.Cut(option, "=")
			if c.LogConfiguration.Options[name] = value; value == "" {
				delete(c.LogConfiguration.Options, name)
			}
		}
	})
}

func linux(l ecsapi.LinuxParameters) func(*register) {
	return on(func(c *container) { c.LinuxParameters = &l })
}

func TestBadTaskDefinitions(t *testing.T) {
	const clientError, unsupportedError = "ClientException", "UnsupportedFeatureException"
	check := func(h ecsapi.HealthCheck) func(*register) {
		if h.Command == nil {
			h.Command = []string{"CMD-SHELL", "true"}
		}
		return on(func(c *container) { c.HealthCheck = &h })
	}
	size := func(cpu, memory string) func(*register) {
		return func(in *register) { in.Cpu, in.Memory = p(cpu), p(memory) }
	}
	port := func(m ecsapi.PortMapping) func(*register) {
		return on(func(c *container) { c.PortMappings = []ecsapi.PortMapping{m} })
	}
	a := newAccount(t)
	for _, test := range []struct {
		name   string
		change func(*register)
		code   string
		words  string
	}{
		{"family", func(in *register) { in.Family = p("a b") }, clientError, "Family"},
		{"family missing", func(in *register) { in.Family = nil }, clientError, "Family"},
		{"bridge", func(in *register) { in.NetworkMode = ecsapi.NetworkModeBridge }, clientError, "Fargate only supports network mode ‘awsvpc’."},
		{"no network mode, not for Fargate", func(in *register) { in.NetworkMode, in.RequiresCompatibilities = "", nil }, clientError, "networkMode"},
		{"external", func(in *register) { in.RequiresCompatibilities = []ecsapi.Compatibility{ecsapi.CompatibilityExternal} }, clientError, "requiresCompatibilities"},
		{"no cpu", func(in *register) { in.Cpu = nil }, clientError, "'cpu' and 'memory' be defined at the task level"},
		{"no memory", func(in *register) { in.Memory = nil }, clientError, "'cpu' and 'memory' be defined at the task level"},
		{"cpu 300", size("300", "512"), clientError, "Invalid 'cpu' setting for task."},
		{"cpu text", size("much", "512"), clientError, "Invalid 'cpu' setting for task."},
		{"cpu negative", size("-256", "512"), clientError, "Invalid 'cpu' setting for task."},
		{"cpu unit", size("256 GB", "512"), clientError, "Invalid 'cpu' setting for task."},
		{"cpu not a number", size("NaN vCPU", "512"), clientError, "Invalid 'cpu' setting for task."},
		{"cpu infinite", size("Inf vCPU", "512"), clientError, "Invalid 'cpu' setting for task."},
		{"memory text", size("256", "some"), clientError, "Invalid 'memory' setting for task."},
		{"pair 256/4096", size("256", "4096"), clientError, "No Fargate configuration exists for given values"},
		{"pair 512/1536", size("512", "1536"), clientError, "No Fargate configuration exists for given values"},
		{"pair 1024/1024", size("1 vCPU", "1 GB"), clientError, "No Fargate configuration exists for given values"},
		{"pair 4096/31744", size("4096", "31744"), clientError, "No Fargate configuration exists for given values"},
		{"pair 8192/17408", size("8192", "17408"), clientError, "No Fargate configuration exists for given values"},
		{"pair 16384/40000", size("16384", "40000"), clientError, "No Fargate configuration exists for given values"},
		{"ephemeral storage 20", func(in *register) { in.EphemeralStorage = &ecsapi.EphemeralStorage{SizeInGiB: p(int32(20))} }, clientError, "ephemeral storage"},
		{"ephemeral storage 201", func(in *register) { in.EphemeralStorage = &ecsapi.EphemeralStorage{SizeInGiB: p(int32(201))} }, clientError, "ephemeral storage"},
		{"ipc mode", func(in *register) { in.IpcMode = ecsapi.IpcModeHost }, clientError, "ipcMode"},
		{"pid mode host", func(in *register) { in.PidMode = ecsapi.PidModeHost }, clientError, "pidMode"},
		{"placement", func(in *register) { in.PlacementConstraints = make([]ecsapi.TaskDefinitionPlacementConstraint, 1) }, clientError, "placementConstraints"},
		{"accelerators", func(in *register) { in.InferenceAccelerators = make([]ecsapi.InferenceAccelerator, 1) }, clientError, "inferenceAccelerators"},
		{"proxy", func(in *register) { in.ProxyConfiguration = &ecsapi.ProxyConfiguration{} }, unsupportedError, "proxyConfiguration"},
		{"fault injection", func(in *register) { in.EnableFaultInjection = p(true) }, unsupportedError, "enableFaultInjection"},
		{"windows", func(in *register) {
			in.RuntimePlatform = &ecsapi.RuntimePlatform{OperatingSystemFamily: ecsapi.OSFamilyWindowsServer2022Core}
		}, unsupportedError, "operatingSystemFamily"},
		{"other architecture", func(in *register) {
			other := ecsapi.CPUArchitectureArm64
			if hostArchitecture() == other {
				other = ecsapi.CPUArchitectureX8664
			}
			in.RuntimePlatform = &ecsapi.RuntimePlatform{CpuArchitecture: other}
		}, unsupportedError, "cpuArchitecture"},
		{"volume name", func(in *register) { in.Volumes = []ecsapi.Volume{{Name: p("a/b")}} }, clientError, "Invalid volume name 'a/b'"},
		{"volume twice", func(in *register) { in.Volumes = []ecsapi.Volume{{Name: p("v")}, {Name: p("v")}} }, clientError, "Duplicate volume name 'v'"},
		{"volume of the host", func(in *register) {
			in.Volumes = []ecsapi.Volume{{Name: p("v"), Host: &ecsapi.HostVolumeProperties{SourcePath: p("/etc")}}}
		}, clientError, "host.sourcePath"},
		{"docker volume", func(in *register) {
			in.Volumes = []ecsapi.Volume{{Name: p("v"), DockerVolumeConfiguration: &ecsapi.DockerVolumeConfiguration{}}}
		}, clientError, "dockerVolumeConfiguration"},
		{"EFS", func(in *register) {
			in.Volumes = []ecsapi.Volume{{Name: p("v"), EfsVolumeConfiguration: &ecsapi.EFSVolumeConfiguration{}}}
		}, unsupportedError, "efsVolumeConfiguration"},
		{"EBS", func(in *register) { in.Volumes = []ecsapi.Volume{{Name: p("v"), ConfiguredAtLaunch: p(true)}} }, unsupportedError, "configuredAtLaunch"},

		{"no containers", func(in *register) { in.ContainerDefinitions = nil }, clientError, "Container list cannot be empty."},
		{"11 containers", func(in *register) {
			for i := range 10 {
				and(container{Name: p(fmt.Sprint("c", i))})(in)
			}
		}, clientError, "at most 10 containers"},
		{"nothing essential", on(func(c *container) { c.Essential = p(false) }), clientError, "essential"},
		{"container name", on(func(c *container) { c.Name = p("a.b") }), clientError, "Container name 'a.b'"},
		{"name twice", and(container{Name: p("app")}), clientError, "'app'"},
		{"no image", on(func(c *container) { c.Image = p("") }), clientError, "image"},
		{"ECR without a role", both(on(func(c *container) { c.Image = p("000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1") }), func(in *register) { in.ExecutionRoleArn = nil }), clientError, "execution role ARN to support ECR images"},
		{"host name", on(func(c *container) { c.Hostname = p("me") }), clientError, "'hostname'"},
		{"container cpu", on(func(c *container) { c.Cpu = p(int32(257)) }), clientError, "'cpu' values (257)"},
		{"negative cpu", on(func(c *container) { c.Cpu = p(int32(-1)) }), clientError, "'cpu'"},
		{"container memory", on(func(c *container) { c.Memory = p(int32(513)) }), clientError, "'memory' (513)"},
		{"memory of all", both(on(func(c *container) { c.Memory = p(int32(300)) }), and(container{Memory: p(int32(300))})), clientError, "'memory' values (600)"},
		{"memory 5", on(func(c *container) { c.Memory = p(int32(5)) }), clientError, "'memory' must be at least 6 MiB"},
		{"reservation above memory", on(func(c *container) { c.Memory, c.MemoryReservation = p(int32(100)), p(int32(200)) }), clientError, "'memoryReservation'"},
		{"negative reservation", on(func(c *container) { c.MemoryReservation = p(int32(-1)) }), clientError, "'memoryReservation'"},
		{"stop time-out", on(func(c *container) { c.StopTimeout = p(int32(121)) }), clientError, "stopTimeout"},
		{"start time-out", on(func(c *container) { c.StartTimeout = p(int32(1)) }), clientError, "startTimeout"},
		{"working directory", on(func(c *container) { c.WorkingDirectory = p("app") }), clientError, "workingDirectory"},
		{"privileged", on(func(c *container) { c.Privileged = p(true) }), clientError, "'privileged'"},
		{"no networking", on(func(c *container) { c.DisableNetworking = p(true) }), clientError, "'disableNetworking'"},
		{"dns servers", on(func(c *container) { c.DnsServers = []string{"1.1.1.1"} }), clientError, "'dnsServers'"},
		{"dns search", on(func(c *container) { c.DnsSearchDomains = []string{"x"} }), clientError, "'dnsSearchDomains'"},
		{"security options", on(func(c *container) { c.DockerSecurityOptions = []string{"no-new-privileges"} }), clientError, "'dockerSecurityOptions'"},
		{"extra hosts", on(func(c *container) { c.ExtraHosts = make([]ecsapi.HostEntry, 1) }), clientError, "'extraHosts'"},
		{"links", on(func(c *container) { c.Links = []string{"x"} }), clientError, "'links'"},
		{"credential specs", on(func(c *container) { c.CredentialSpecs = []string{"x"} }), clientError, "'credentialSpecs'"},
		{"gpu", on(func(c *container) { c.ResourceRequirements = make([]ecsapi.ResourceRequirement, 1) }), clientError, "'resourceRequirements'"},
		{"secrets", on(func(c *container) { c.Secrets = make([]ecsapi.Secret, 1) }), unsupportedError, "secrets (container app)"},
		{"environment files", on(func(c *container) { c.EnvironmentFiles = make([]ecsapi.EnvironmentFile, 1) }), unsupportedError, "environmentFiles"},
		{"repository credentials", on(func(c *container) { c.RepositoryCredentials = &ecsapi.RepositoryCredentials{} }), unsupportedError, "repositoryCredentials"},
		{"firelens", on(func(c *container) { c.FirelensConfiguration = &ecsapi.FirelensConfiguration{} }), unsupportedError, "firelensConfiguration"},
		{"devices", linux(ecsapi.LinuxParameters{Devices: make([]ecsapi.Device, 1)}), clientError, "linuxParameters.devices"},
		{"shared memory", linux(ecsapi.LinuxParameters{SharedMemorySize: p(int32(1))}), clientError, "linuxParameters.sharedMemorySize"},
		{"swap", linux(ecsapi.LinuxParameters{MaxSwap: p(int32(1))}), clientError, "linuxParameters.maxSwap"},
		{"swappiness", linux(ecsapi.LinuxParameters{Swappiness: p(int32(1))}), clientError, "linuxParameters.swappiness"},
		{"tmpfs", linux(ecsapi.LinuxParameters{Tmpfs: make([]ecsapi.Tmpfs, 1)}), unsupportedError, "linuxParameters.tmpfs"},
		{"capability", linux(ecsapi.LinuxParameters{Capabilities: &ecsapi.KernelCapabilities{Add: []string{"NET_ADMIN"}}}), clientError, "NET_ADMIN"},
		{"ulimit", on(func(c *container) {
			c.Ulimits = []ecsapi.Ulimit{{Name: ecsapi.UlimitNameCore, SoftLimit: p(int32(1)), HardLimit: p(int32(1))}}
		}), clientError, "'core'"},
		{"ulimit soft above hard", on(func(c *container) {
			c.Ulimits = []ecsapi.Ulimit{{Name: ecsapi.UlimitNameNofile, SoftLimit: p(int32(2)), HardLimit: p(int32(1))}}
		}), clientError, "'nofile'"},
		{"system control", on(func(c *container) {
			c.SystemControls = []ecsapi.SystemControl{{Namespace: p("vm.swappiness"), Value: p("1")}}
		}), clientError, "'vm.swappiness'"},
		{"restart period", on(func(c *container) {
			c.RestartPolicy = &ecsapi.ContainerRestartPolicy{Enabled: p(true), RestartAttemptPeriod: p(int32(59))}
		}), clientError, "restartAttemptPeriod"},

		{"health command", on(func(c *container) { c.HealthCheck = &ecsapi.HealthCheck{Command: []string{"CMD"}} }), clientError, "healthCheck.command"},
		{"health interval", check(ecsapi.HealthCheck{Interval: p(int32(4))}), clientError, "healthCheck.interval"},
		{"health time-out", check(ecsapi.HealthCheck{Timeout: p(int32(61))}), clientError, "healthCheck.timeout"},
		{"health retries", check(ecsapi.HealthCheck{Retries: p(int32(11))}), clientError, "healthCheck.retries"},
		{"health start period", check(ecsapi.HealthCheck{StartPeriod: p(int32(301))}), clientError, "healthCheck.startPeriod"},

		{"mount of an unknown volume", on(func(c *container) {
			c.MountPoints = []ecsapi.MountPoint{{SourceVolume: p("v"), ContainerPath: p("/v")}}
		}), clientError, "Unknown volume 'v'"},
		{"mount path", both(func(in *register) { in.Volumes = []ecsapi.Volume{{Name: p("v")}} }, on(func(c *container) { c.MountPoints = []ecsapi.MountPoint{{SourceVolume: p("v"), ContainerPath: p("v")}} })), clientError, "container path 'v'"},
		{"volumes from nobody", on(func(c *container) { c.VolumesFrom = []ecsapi.VolumeFrom{{SourceContainer: p("x")}} }), clientError, "volumesFrom"},
		{"volumes from itself", on(func(c *container) { c.VolumesFrom = []ecsapi.VolumeFrom{{SourceContainer: p("app")}} }), clientError, "volumesFrom"},

		{"log driver", logs(ecsapi.LogDriverSyslog), clientError, "syslog"},
		{"splunk", logs(ecsapi.LogDriverSplunk), unsupportedError, "splunk"},
		{"logs without a role", both(logs(ecsapi.LogDriverAwslogs), func(in *register) { in.ExecutionRoleArn = nil }), clientError, "execution role ARN to support log driver awslogs"},
		{"logs without a group", logs(ecsapi.LogDriverAwslogs, "awslogs-group="), clientError, "awslogs-group"},
		{"logs without a region", logs(ecsapi.LogDriverAwslogs, "awslogs-region="), clientError, "awslogs-region"},
		{"logs without a prefix", logs(ecsapi.LogDriverAwslogs, "awslogs-stream-prefix="), clientError, "awslogs-stream-prefix"},
		{"log option", logs(ecsapi.LogDriverAwslogs, "awslogs-colour=red"), clientError, "awslogs-colour"},
		{"log mode", logs(ecsapi.LogDriverAwslogs, "mode=fast"), clientError, "mode"},
		{"log buffer", logs(ecsapi.LogDriverAwslogs, "max-buffer-size=lots"), clientError, "max-buffer-size"},
		{"log patterns", logs(ecsapi.LogDriverAwslogs, "awslogs-multiline-pattern=^x", "awslogs-datetime-format=%Y"), clientError, "awslogs-datetime-format"},

		{"port 0", port(ecsapi.PortMapping{ContainerPort: p(int32(0))}), clientError, "containerPort 0"},
		{"port 65536", port(ecsapi.PortMapping{ContainerPort: p(int32(65536))}), clientError, "containerPort 65536"},
		{"host port", port(ecsapi.PortMapping{ContainerPort: p(int32(80)), HostPort: p(int32(8080))}), clientError, "host ports and container ports"},
		{"port range", port(ecsapi.PortMapping{ContainerPortRange: p("80-90")}), clientError, "containerPortRange"},
		{"port collision", and(container{PortMappings: []ecsapi.PortMapping{{ContainerPort: p(int32(80))}}}), clientError, "80/tcp"},
		{"port name twice", and(container{PortMappings: []ecsapi.PortMapping{{Name: p("n"), ContainerPort: p(int32(81))}, {Name: p("n"), ContainerPort: p(int32(82))}}}), clientError, "port name 'n'"},

		{"depends on nobody", on(func(c *container) {
			c.DependsOn = []ecsapi.ContainerDependency{{ContainerName: p("x"), Condition: ecsapi.ContainerConditionStart}}
		}), clientError, "unknown container 'x'"},
		{"depends on health without a check", both(and(container{}), on(func(c *container) {
			c.DependsOn = []ecsapi.ContainerDependency{{ContainerName: p("side"), Condition: ecsapi.ContainerConditionHealthy}}
		})), clientError, "HEALTHY"},
		{"depends on the end of an essential one", both(and(container{}), on(func(c *container) {
			c.DependsOn = []ecsapi.ContainerDependency{{ContainerName: p("side"), Condition: ecsapi.ContainerConditionSuccess}}
		})), clientError, "SUCCESS"},
		{"depends on itself", on(func(c *container) {
			c.DependsOn = []ecsapi.ContainerDependency{{ContainerName: p("app"), Condition: ecsapi.ContainerConditionStart}}
		}), clientError, "cyclic dependency"},
		{"cycle", both(and(container{DependsOn: []ecsapi.ContainerDependency{{ContainerName: p("app"), Condition: ecsapi.ContainerConditionStart}}}), on(func(c *container) {
			c.DependsOn = []ecsapi.ContainerDependency{{ContainerName: p("side"), Condition: ecsapi.ContainerConditionStart}}
		})), clientError, "cyclic dependency"},
		{"too large", on(func(c *container) {
			c.Environment = []ecsapi.KeyValuePair{{Name: p("A"), Value: p(strings.Repeat("x", maxDefinition))}}
		}), clientError, "Max allowed length is '65536'"},
		{"reserved tag", func(in *register) { in.Tags = []ecsapi.Tag{{Key: p("aws:x"), Value: p("")}} }, "InvalidParameterException", "'aws:x'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := definitionInput()
			test.change(in)
			_, err := a.RegisterTaskDefinition(a.ctx, in)
			wantError(t, err, test.code, test.words)
		})
	}
	if n := a.tables.TaskDefinitions.Len(a.db.View()); n != 0 {
		t.Errorf("%d bad definitions were kept", n)
	}
}

func TestGoodTaskDefinitions(t *testing.T) {
	a := newAccount(t)
	for _, change := range []func(*register){
		func(in *register) { in.Cpu, in.Memory = p(".25 vCPU"), p("0.5GB") },
		func(in *register) { in.Cpu, in.Memory = p("1 vcpu"), p("8 GB") },
		func(in *register) { in.Cpu, in.Memory = p("16384"), p("122880") },
		func(in *register) { in.RequiresCompatibilities = nil },
		both(on(func(c *container) { c.Memory, c.MemoryReservation = p(int32(512)), p(int32(100)) }), and(container{Memory: p(int32(512)), MemoryReservation: p(int32(100))})),
		and(container{Essential: p(false), PortMappings: []ecsapi.PortMapping{{ContainerPort: p(int32(80)), Protocol: ecsapi.TransportProtocolUdp}}}),
		logs(ecsapi.LogDriverAwslogs, "mode=non-blocking", "max-buffer-size=25m", "awslogs-create-group=true"),
		on(func(c *container) {
			c.Ulimits = []ecsapi.Ulimit{{Name: ecsapi.UlimitNameNofile, SoftLimit: p(int32(1)), HardLimit: p(int32(2))}}
		}),
	} {
		a.register(change)
	}
	d, _ := a.tables.TaskDefinitions.Get(a.db.View(), "app:1")
	if d.CPU != 256 || d.MemoryMiB != 512 || a.tables.TaskDefinitions.Len(a.db.View()) != 8 {
		t.Errorf("%d MiB, %d units", d.MemoryMiB, d.CPU)
	}
}

// fill sets everything below v to something that is not empty.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && depth > 0 {
				fill(v.Field(i), depth-1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), depth)
		fill(v.Index(1), depth)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth)
		fill(value, depth)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("<text> & \u2028")
	case reflect.Int32, reflect.Int64:
		v.SetInt(1<<31 - 1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1.5)
	}
}

// TestRegistrationIsKeptVerbatim goes through every member of a registration that the API model has.
func TestRegistrationIsKeptVerbatim(t *testing.T) {
	var sent, back register
	fill(reflect.ValueOf(&sent).Elem(), 12)
	sent.Tags = nil
	for _, in := range []register{sent, *definitionInput()} {
		doc, err := registration(&in)
		if err != nil {
			t.Fatal(err)
		}
		back = register{}
		if err := json.Unmarshal(doc, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, back); diff != "" {
			t.Errorf("kept (-sent +kept):\n%s", diff)
		}
	}
}

func TestTaskDefinitionIsReadAsItWasSent(t *testing.T) {
	a := newAccount(t)
	a.register(func(in *register) {
		in.Tags = []ecsapi.Tag{{Key: p("k"), Value: p("v")}}
		in.RuntimePlatform = &ecsapi.RuntimePlatform{CpuArchitecture: hostArchitecture()}
		and(container{Name: p("a-side"), HealthCheck: &ecsapi.HealthCheck{Command: []string{"CMD", "true"}}})(in)
	})
	out := must(a.DescribeTaskDefinition(a.ctx, &ecsapi.DescribeTaskDefinitionInput{TaskDefinition: p("app"), Include: []ecsapi.TaskDefinitionField{ecsapi.TaskDefinitionFieldTags}}))(t)
	got, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	want := `{"Tags":[{"Key":"k","Value":"v"}],"TaskDefinition":{"Compatibilities":["EC2","FARGATE"],"ContainerDefinitions":[
{"Cpu":0,"Environment":[{"Name":"EMPTY","Value":""}],"Essential":true,"Image":"app:1","MountPoints":[],"Name":"app","PortMappings":[{"ContainerPort":80,"HostPort":80,"Protocol":"tcp"}],"SystemControls":[],"VolumesFrom":[]},
{"Cpu":0,"Environment":[],"Essential":true,"HealthCheck":{"Command":["CMD","true"]},"Image":"side:1","MountPoints":[],"Name":"a-side","PortMappings":[],"SystemControls":[],"VolumesFrom":[]}
],"Cpu":"256","ExecutionRoleArn":"` + roleARN + `","Family":"app","Memory":"512","NetworkMode":"awsvpc","PlacementConstraints":[],"RegisteredAt":"2026-01-01T12:00:00Z","RequiresCompatibilities":["FARGATE"],"Revision":1,
"RuntimePlatform":{"CpuArchitecture":"` + string(hostArchitecture()) + `"},"Status":"ACTIVE","TaskDefinitionArn":"arn:aws:ecs:us-east-1:000000000000:task-definition/app:1","Volumes":[]}}`
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, solid(doc)); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// solid drops null and empty texts of enums, which the wire leaves out.
func solid(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if member == nil || (member == "" && name != "Value") {
				delete(v, name)
			} else {
				v[name] = solid(member)
			}
		}
	case []any:
		for i := range v {
			v[i] = solid(v[i])
		}
	}
	return v
}

func TestRevisions(t *testing.T) {
	a := newAccount(t)
	for range 3 {
		a.register(nil)
	}
	a.register(func(in *register) { in.Family = p("other") })
	describe := func(ref string) (*ecsapi.DescribeTaskDefinitionOutput, error) {
		return a.DescribeTaskDefinition(a.ctx, &ecsapi.DescribeTaskDefinitionInput{TaskDefinition: &ref})
	}
	list := func(in ecsapi.ListTaskDefinitionsInput) string {
		in.FamilyPrefix = p("app")
		var revisions []string
		for {
			out := must(a.ListTaskDefinitions(a.ctx, &in))(t)
			for _, arn := range out.TaskDefinitionArns {
				revisions = append(revisions, arn[strings.LastIndexByte(arn, ':')+1:])
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(revisions, " ")
			}
		}
	}
	for ref, want := range map[string]int32{"app": 3, "app:2": 2, "arn:aws:ecs:us-east-1:000000000000:task-definition/app:1": 1} {
		if got := must(describe(ref))(t); *got.TaskDefinition.Revision != want {
			t.Errorf("%s is revision %d", ref, *got.TaskDefinition.Revision)
		}
	}
	for _, ref := range []string{"nothing", "app:4", "app:x", "app:-1", "arn:aws:ecs:eu-west-1:000000000000:task-definition/app:1", ""} {
		_, err := describe(ref)
		wantError(t, err, "ClientException", "Unable to describe task definition.")
	}
	_, err := a.DeregisterTaskDefinition(a.ctx, &ecsapi.DeregisterTaskDefinitionInput{TaskDefinition: p("app")})
	wantError(t, err, "ClientException", "Revision is missing")
	_, err = a.DeregisterTaskDefinition(a.ctx, &ecsapi.DeregisterTaskDefinitionInput{TaskDefinition: p("app:9")})
	wantError(t, err, "ClientException", "does not exist")
	out, err := a.DeleteTaskDefinitions(a.ctx, &ecsapi.DeleteTaskDefinitionsInput{TaskDefinitions: []string{"app:3", "app:9"}})
	if err != nil || len(out.TaskDefinitions) != 0 || len(out.Failures) != 2 {
		t.Errorf("delete: %+v, %v", out, err)
	}
	gone := must(a.DeregisterTaskDefinition(a.ctx, &ecsapi.DeregisterTaskDefinitionInput{TaskDefinition: p("app:3")}))(t)
	if gone.TaskDefinition.Status != ecsapi.TaskDefinitionStatusInactive || gone.TaskDefinition.DeregisteredAt == nil {
		t.Errorf("deregistered: %+v", gone.TaskDefinition)
	}
	if got := must(describe("app:3"))(t); got.TaskDefinition.Status != ecsapi.TaskDefinitionStatusInactive { // Terraform reads it again
		t.Errorf("inactive revision: %+v", got)
	}
	if got := must(describe("app"))(t); *got.TaskDefinition.Revision != 2 {
		t.Errorf("newest active revision: %+v", got)
	}
	_, err = a.RunTask(a.ctx, func() *ecsapi.RunTaskInput { in := runInput(); in.TaskDefinition = p("app:3"); return in }())
	wantError(t, err, "ClientException", "TaskDefinition is inactive")
	for want, in := range map[string]ecsapi.ListTaskDefinitionsInput{
		"1 2": {MaxResults: p(int32(1))}, "2 1": {Sort: ecsapi.SortOrderDesc}, "3": {Status: ecsapi.TaskDefinitionStatusInactive},
	} {
		if got := list(in); got != want {
			t.Errorf("list %q, want %q", got, want)
		}
	}
	deleted := must(a.DeleteTaskDefinitions(a.ctx, &ecsapi.DeleteTaskDefinitionsInput{TaskDefinitions: []string{"app:3"}}))(t)
	if len(deleted.TaskDefinitions) != 1 || deleted.TaskDefinitions[0].Status != ecsapi.TaskDefinitionStatusDeleteInProgress {
		t.Errorf("deleted: %+v", deleted)
	}
	if got := a.register(nil); *got.Revision != 4 {
		t.Errorf("revision %d was given out again", *got.Revision)
	}
	families := must(a.ListTaskDefinitionFamilies(a.ctx, &ecsapi.ListTaskDefinitionFamiliesInput{Status: ecsapi.TaskDefinitionFamilyStatusActive}))(t)
	if diff := cmp.Diff([]string{"app", "other"}, families.Families); diff != "" {
		t.Error(diff)
	}
}

// FuzzRegister gives parts of registrations to the parser: it refuses them or makes a record that it would accept again.
func FuzzRegister(f *testing.F) {
	for _, seed := range []string{
		`{"Family":"f","NetworkMode":"awsvpc","Cpu":"256","Memory":"512","ContainerDefinitions":[{"Name":"a","Image":"i"}]}`,
		`{"Family":"f","NetworkMode":"awsvpc","Cpu":".25 vcpu","Memory":"0.5 GB","ContainerDefinitions":[{"Name":"a","Image":"i","HealthCheck":{"Command":["CMD"]},"DependsOn":[{"ContainerName":"a","Condition":"START"}]}]}`,
		`{"Family":"f","NetworkMode":"awsvpc","Cpu":"1e300vcpu","Memory":"-1","Volumes":[{"Name":"v"}],"ContainerDefinitions":[{"Name":"a","Image":"i","PortMappings":[{"ContainerPort":80}],"MountPoints":[{}],"LinuxParameters":{"Capabilities":{"Add":[""]}}}]}`,
		`{"ContainerDefinitions":[{}],"RuntimePlatform":{},"EphemeralStorage":{}}`,
	} {
		f.Add(seed)
	}
	s := &Server{scope: scope}
	f.Fuzz(func(t *testing.T, doc string) {
		var in register
		if json.Unmarshal([]byte(doc), &in) != nil {
			return
		}
		d, err := s.parseDefinition(&in)
		if err != nil {
			return
		}
		kept, err := registration(&in)
		if err != nil {
			t.Fatal(err)
		}
		d.Registered = kept
		if _, err := definitionView(d); err != nil {
			t.Fatal(err)
		}
		var again register
		if err := json.Unmarshal(kept, &again); err != nil {
			t.Fatal(err)
		}
		d.Registered = nil
		d2, err := s.parseDefinition(&again)
		if err != nil {
			t.Fatalf("what was accepted is refused when it is read again: %v", err)
		}
		if diff := cmp.Diff(d, d2); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDefinitionInUse(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	must(a.CreateService(a.ctx, serviceInput()))(t)
	must(a.DeregisterTaskDefinition(a.ctx, &ecsapi.DeregisterTaskDefinitionInput{TaskDefinition: p("app:1")}))(t)
	must(a.DeleteTaskDefinitions(a.ctx, &ecsapi.DeleteTaskDefinitionsInput{TaskDefinitions: []string{"app:1"}}))(t)
	a.update(func(tx *store.Txn) {
		if d, ok := a.tables.TaskDefinitions.Get(tx, "app:1"); !ok || d.Status != model.TaskDefinitionDeleteInProgress {
			t.Error("a definition in use is gone")
		}
	})
}
