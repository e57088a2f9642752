package compat

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// command is a call of the aws command. Nothing here depends on which version it is: 1.45 and Debian's 2.9 both pass.
type command struct {
	args  string // {names} are replaced by what the test has made
	query string // JMESPath; none: the answer is text
	want  string // JSON; as text: a regular expression
	fails string // what stands in the error instead
	since int    // the first major version that has it; 0: all
}

// commands are what people type, a list for each scenario; lists run at the same time.
var commands = map[string][]command{
	"ec2, vpc": {
		{args: "ec2 create-vpc --cidr-block 10.77.0.0/16 --tag-specifications ResourceType=vpc,Tags=[{Key=Name,Value=cli}]", query: "Vpc.[CidrBlock,Tags[0].Value]", want: `["10.77.0.0/16","cli"]`},
		{args: "ec2 describe-vpcs --filters Name=tag:Name,Values=cli", query: "Vpcs[].[CidrBlock,State]", want: `[["10.77.0.0/16","available"]]`},
		{args: "ec2 delete-vpc --vpc-id vpc-0123456789abcdef0", fails: "(InvalidVpcID.NotFound)"},
	},
	"ec2, groups": {
		{args: "ec2 describe-subnets --filters Name=vpc-id,Values={vpc}", query: "sort(Subnets[].CidrBlock)", want: `["10.0.0.0/24","10.0.1.0/24"]`},
		{args: "ec2 describe-security-groups --filters Name=vpc-id,Values={vpc} Name=group-name,Values=default", query: "SecurityGroups[].IpPermissionsEgress[].IpProtocol", want: `["-1"]`},
		{args: "ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 80 --cidr 0.0.0.0/0", query: "SecurityGroupRules[].[FromPort,CidrIpv4]", want: `[[80,"0.0.0.0/0"]]`},
		{args: "ec2 describe-network-interfaces --filters Name=vpc-id,Values={vpc} Name=description,Values=ELB* --max-items 10", query: "length(NetworkInterfaces)", want: `2`},
		{args: "ec2 wait vpc-available --vpc-ids {vpc}", want: `^$`},
	},
	"ecs": {
		{args: "ecs describe-services --cluster main --services web", query: "services[0].[status,desiredCount,runningCount,length(deployments),failures]", want: `["ACTIVE",2,2,1,null]`},
		{args: "ecs describe-services --cluster main --services nothing", query: "[services,failures[0].reason]", want: `[[],"MISSING"]`},
		{args: "ecs wait services-stable --cluster main --services web", want: `^$`},
		{args: "ecs list-tasks --cluster main --service-name web --page-size 1", query: "length(taskArns)", want: `2`},
		{args: "ecs describe-tasks --cluster main --tasks {task}", query: "tasks[0].[lastStatus,containers[0].name,attachments[0].type]", want: `["RUNNING","app","ElasticNetworkInterface"]`},
	},
	"ecs, definitions": {
		{args: `ecs register-task-definition --family cli --cpu 256 --memory 512 --network-mode awsvpc --requires-compatibilities FARGATE --container-definitions [{"name":"app","image":"app","essential":true}]`, query: "taskDefinition.[family,revision,status]", want: `["cli",1,"ACTIVE"]`},
		{args: "ecs run-task --cluster main --task-definition nothing --launch-type FARGATE --network-configuration awsvpcConfiguration={subnets=[{subnet}]}", fails: "(ClientException)"},
		{args: "ecs run-task --cluster main --task-definition cli --launch-type FARGATE --network-configuration awsvpcConfiguration={subnets=[{subnet}],assignPublicIp=ENABLED}", query: "[length(tasks),failures]", want: `[1,[]]`},
		{args: "ecs update-service --cluster main --service idle --desired-count 0 --force-new-deployment", query: "service.desiredCount", want: `0`},
	},
	"elbv2": {
		{args: "elbv2 describe-target-health --target-group-arn {targets}", query: "TargetHealthDescriptions[].TargetHealth.State", want: `["healthy","healthy"]`},
		{args: "elbv2 describe-load-balancers --names web", query: "LoadBalancers[0].[State.Code,Type,length(AvailabilityZones)]", want: `["active","application",2]`},
		{args: "elbv2 wait target-in-service --target-group-arn {targets}", want: `^$`},
		{args: "elbv2 describe-rules --listener-arn {listener}", query: "Rules[].[Priority,IsDefault]", want: `[["default",true]]`},
	},
	"elbv2, groups": {
		{args: "elbv2 create-target-group --name cli --protocol HTTP --port 80 --vpc-id {vpc} --target-type ip --health-check-path /health", query: "TargetGroups[0].[HealthCheckPath,Matcher.HttpCode,HealthyThresholdCount]", want: `["/health","200",5]`},
		{args: "elbv2 modify-target-group-attributes --target-group-arn {targets} --attributes Key=deregistration_delay.timeout_seconds,Value=10", query: "Attributes[?Key=='deregistration_delay.timeout_seconds'].Value", want: `["10"]`},
		{args: "elbv2 describe-target-groups --names nothing", fails: "(TargetGroupNotFound)"},
	},
	"cloudformation": {
		{args: "cloudformation describe-stacks --stack-name nothing", fails: "Stack with id nothing does not exist"},
		{args: "cloudformation deploy --stack-name cli --template-file {template} --capabilities CAPABILITY_IAM --parameter-overrides Days=14 --tags a=b", want: `Successfully created/updated stack - cli`},
		{args: "cloudformation describe-stacks --stack-name cli", query: "Stacks[0].[StackStatus,Outputs[0].ExportName,Tags[0].Value]", want: `["CREATE_COMPLETE","cli-Name","b"]`},
		{args: "cloudformation deploy --stack-name cli --template-file {template} --capabilities CAPABILITY_IAM --parameter-overrides Days=14 --tags a=b --no-fail-on-empty-changeset", want: `No changes to deploy`},
	},
	"cloudformation, templates": {
		{args: "cloudformation validate-template --template-body file://{template}", query: "[Parameters[].ParameterKey,Capabilities]", want: `[["Days"],["CAPABILITY_IAM"]]`},
		{args: "cloudformation get-template-summary --template-body file://{template}", query: "sort(ResourceTypes)", want: `["AWS::IAM::Role","AWS::Logs::LogGroup"]`},
		{args: "cloudformation list-stacks --stack-status-filter DELETE_COMPLETE", query: "StackSummaries", want: `[]`},
	},
	"ecr": {
		{args: "ecr get-login-password", want: `^[A-Za-z0-9_-]{20,}$`},
		{args: "ecr describe-repositories --repository-names app", query: "repositories[].repositoryUri", want: `["000000000000.dkr.ecr.us-east-1.amazonaws.com/app"]`},
		{args: "ecr create-repository --repository-name cli/app --image-scanning-configuration scanOnPush=true", query: "repository.[repositoryName,imageScanningConfiguration.scanOnPush]", want: `["cli/app",true]`},
		{args: "ecr describe-images --repository-name app --image-ids imageTag=none", fails: "(ImageNotFoundException)"},
	},
	"logs": {
		{args: "logs filter-log-events --log-group-name /app --filter-pattern ERROR", query: "events[].message", want: `["ERROR é"]`},
		{args: "logs get-log-events --log-group-name /app --log-stream-name one --start-from-head", query: "events[].message", want: `["hello","ERROR é"]`},
		{args: "logs create-log-group --log-group-name /cli", want: `^$`},
		{args: "logs create-log-stream --log-group-name /cli --log-stream-name s", want: `^$`},
		{args: "logs put-log-events --log-group-name /cli --log-stream-name s --log-events timestamp={now},message=one", query: "rejectedLogEventsInfo", want: `null`},
		{args: "logs tail /app --since 1h --format short", want: `ERROR é`, since: 2},
		{args: "logs describe-log-groups --log-group-name-prefix /nothing", query: "logGroups", want: `[]`},
	},
	"iam, sts": {
		{args: "sts get-caller-identity", query: "Account", want: `"000000000000"`},
		{args: "iam get-role --role-name exec", query: "Role.AssumeRolePolicyDocument.Statement[0].Principal.Service", want: `"ecs-tasks.amazonaws.com"`},
		{args: "iam attach-role-policy --role-name exec --policy-arn " + managed, want: `^$`},
		{args: "iam list-attached-role-policies --role-name exec", query: "AttachedPolicies[].PolicyName", want: `["AmazonECSTaskExecutionRolePolicy"]`},
		{args: "iam list-roles --page-size 1", query: "Roles[?RoleName=='exec'].MaxSessionDuration", want: `[3600]`},
		{args: "sts assume-role --role-arn {role} --role-session-name me", fails: "(AccessDenied)"},
		{args: "sts get-session-token --duration-seconds 900", query: "length(Credentials.SessionToken)>`10`", want: `true`},
	},
}

// TestCommand runs the aws command. Each call costs it a second of its own.
func TestCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("the aws command takes a second per call")
	}
	program, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("no aws command on this host (make setup-test installs it)")
	}
	version, err := exec.Command(program, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, version)
	}
	t.Logf("%s", version)
	t.Parallel()
	c := newClient(t, nil)
	names := c.commandWorld()
	runner := awsCommand{program: program, url: c.url, old: bytes.HasPrefix(version, []byte("aws-cli/1."))}
	t.Run("scenarios", func(t *testing.T) { // ends when all have ended, and only then the cloud does
		for name, list := range commands {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, cmd := range list {
					runner.run(t, cmd, names)
				}
			})
		}
	})
}

// commandWorld makes what the commands talk of: a service behind a load balancer, a log, a repository.
func (c *client) commandWorld() *strings.Replacer {
	t := c.t
	s := c.makeSite()
	group := *must(t, c.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: filter("vpc-id", s.vpc)}).SecurityGroups[0].GroupId
	balancer, targets := c.makeBalancer("web", s.subnets), c.makeGroup("web", s.vpc)
	listener := must(t, c.elb.CreateListener, &elb.CreateListenerInput{LoadBalancerArn: balancer.LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &targets}}})
	must(t, c.ecs.CreateCluster, &ecs.CreateClusterInput{ClusterName: aws.String("main")})
	definition := c.definition("app", s.role)
	for name, count := range map[string]int32{"web": 2, "idle": 0} {
		in := &ecs.CreateServiceInput{Cluster: aws.String("main"), ServiceName: &name, TaskDefinition: &definition, DesiredCount: &count, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: s.network()}
		if name == "web" {
			in.LoadBalancers = []ecstypes.LoadBalancer{{TargetGroupArn: &targets, ContainerName: aws.String("app"), ContainerPort: aws.Int32(80)}}
		}
		must(t, c.ecs.CreateService, in)
	}
	stable := ecs.NewServicesStableWaiter(c.ecs, func(o *ecs.ServicesStableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := stable.Wait(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"web"}}, patience); err != nil {
		t.Fatal(err)
	}
	eventually(t, c.elb.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: &targets}, func(o *elb.DescribeTargetHealthOutput) bool {
		healthy := 0
		for _, d := range o.TargetHealthDescriptions {
			if d.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
				healthy++
			}
		}
		return healthy == 2
	})
	task := must(t, c.ecs.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("main")}).TaskArns[0]
	must(t, c.ecr.CreateRepository, &ecr.CreateRepositoryInput{RepositoryName: aws.String("app")})
	must(t, c.logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/app")})
	must(t, c.logs.CreateLogStream, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String("/app"), LogStreamName: aws.String("one")})
	now := time.Now().UnixMilli()
	must(t, c.logs.PutLogEvents, &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String("/app"), LogStreamName: aws.String("one"), LogEvents: []logtypes.InputLogEvent{
		{Timestamp: aws.Int64(now - 2000), Message: aws.String("hello")}, {Timestamp: aws.Int64(now - 1000), Message: aws.String("ERROR é")},
	}})
	template := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(template, []byte(smallStack), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("{vpc}", s.vpc, "{subnet}", s.subnets[0], "{group}", group, "{role}", s.role, "{task}", task, "{targets}", targets,
		"{listener}", *listener.Listeners[0].ListenerArn, "{template}", template, "{now}", strconv.FormatInt(now, 10))
}

// awsCommand is how the command is called.
type awsCommand struct {
	program, url string
	old          bool // major version 1
}

func (a awsCommand) run(t *testing.T, c command, names *strings.Replacer) {
	t.Helper()
	if a.old && c.since > 1 {
		return
	}
	args := []string{"--endpoint-url", a.url, "--region", "us-east-1", "--output", "json"} // 2.9 does not read AWS_ENDPOINT_URL
	if c.query == "" {
		args[len(args)-1] = "text"
	}
	for _, arg := range strings.Fields(c.args) {
		args = append(args, names.Replace(arg))
	}
	if c.query != "" {
		args = append(args, "--query", c.query)
	}
	cmd := exec.CommandContext(t.Context(), a.program, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "PYTHONUTF8=1", "LC_ALL=C.UTF-8")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case c.fails != "":
		if err == nil || !strings.Contains(stderr.String(), c.fails) {
			t.Errorf("aws %s: want %s, got %v\n%s%s", c.args, c.fails, err, stdout.String(), stderr.String())
		}
	case err != nil:
		t.Errorf("aws %s: %v\n%s%s", c.args, err, stdout.String(), stderr.String())
	case c.query == "":
		// `deploy` tells of an empty change set on either stream, which depends on the version.
		if text := strings.TrimSpace(stdout.String() + stderr.String()); !regexp.MustCompile(c.want).MatchString(text) {
			t.Errorf("aws %s: got %q, want %s", c.args, text, c.want)
		}
	default:
		var got, wanted any
		if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
			t.Fatalf("aws %s: %v: %q", c.args, err, stdout.String())
		}
		if err := json.Unmarshal([]byte(c.want), &wanted); err != nil {
			t.Fatal(err)
		}
		want(t, "aws "+c.args+" --query "+c.query, got, wanted)
	}
}
