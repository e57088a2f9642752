package cfn_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const small = `
Parameters:
  Days: {Type: Number, Default: 7}
  Name: {Type: String, Default: a}
Resources:
  VPC: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Sub '10.0.0.0/${Days}'}}
  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref VPC, CidrBlock: 10.0.0.0/24}}
  Group: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: x, VpcId: !Ref VPC, SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}]}}
  Rule: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref Group, IpProtocol: tcp, FromPort: 81, ToPort: 81, CidrIp: 0.0.0.0/0}}
  Address: {Type: AWS::EC2::EIP}
  Nat: {Type: AWS::EC2::NatGateway, Properties: {SubnetId: !Ref Subnet, AllocationId: !GetAtt Address.AllocationId}}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: !Ref Days}}
  Role: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Statement: []}, Policies: [{PolicyName: p, PolicyDocument: {}}]}}
  Balancer: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer, Properties: {Subnets: [!Ref Subnet], SecurityGroups: [!Ref Group]}}
  Targets: {Type: AWS::ElasticLoadBalancingV2::TargetGroup, Properties: {VpcId: !Ref VPC, Port: 80, Protocol: HTTP}}
  Listener: {Type: AWS::ElasticLoadBalancingV2::Listener, Properties: {LoadBalancerArn: !Ref Balancer, Port: 80, DefaultActions: [{Type: forward, TargetGroupArn: !Ref Targets}]}}
Outputs:
  Vpc: {Value: !Ref VPC, Export: {Name: !Sub '${AWS::StackName}-vpc'}}
`

// A server that dies at any call, before or after its effect, is followed by one that ends the work: nothing is made
// twice, nothing is lost.
func TestKillAtEveryCall(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of small worlds")
	}
	census := map[string]int{"vpc": 1, "subnet": 1, "sg": 1, "rule": 3, "eip": 1, "nat": 1, "loggroup": 1, "role": 1, "policy": 1, "lb": 1, "tg": 1, "listener": 1}
	deadly := func(t *testing.T, prepare func(*world), act func(*world), status string, want map[string]int) {
		for _, after := range []bool{false, true} {
			for at := 1; ; at++ {
				w := newWorld(t)
				prepare(w)
				w.stop()
				<-w.ended
				w.start(at, after)
				act(w)
				if got := w.wait("x"); got != "DIED" {
					if at < 10 {
						t.Fatalf("only %d calls: %s", at, got)
					}
					break // more calls than there are
				}
				<-w.ended
				w.start(0, false)
				if got := w.wait("x"); got != status {
					t.Fatalf("killed at call %d (after its effect: %v): %s, want %s\n%s", at, after, got, status, strings.Join(w.events("x"), "\n"))
				}
				if diff := cmp.Diff(want, w.cloud.census()); diff != "" {
					t.Fatalf("killed at call %d (after its effect: %v):\n%s", at, after, diff)
				}
				if len(w.cloud.violated) > 0 {
					t.Fatalf("killed at call %d (after its effect: %v): deleted too early: %v", at, after, w.cloud.violated)
				}
			}
		}
	}
	made := func(w *world) {
		w.create("x", small)
		w.expect("x", "CREATE_COMPLETE")
	}
	t.Run("create", func(t *testing.T) {
		t.Parallel()
		deadly(t, func(*world) {}, func(w *world) { w.create("x", small) }, "CREATE_COMPLETE", census)
	})
	t.Run("update", func(t *testing.T) { // everything in the VPC is replaced
		t.Parallel()
		deadly(t, made, func(w *world) { w.update("x", small, "Days", "14") }, "UPDATE_COMPLETE", census)
	})
	t.Run("roll back", func(t *testing.T) {
		t.Parallel()
		deadly(t, made, func(w *world) { // the listener fails after nearly everything was replaced
			w.update("x", strings.Replace(small, "Port: 80, DefaultActions", "Port: 81, DefaultActions", 1), "Days", "14")
		}, "UPDATE_ROLLBACK_COMPLETE", census)
	})
	t.Run("delete", func(t *testing.T) {
		t.Parallel()
		deadly(t, made, func(w *world) { w.remove("x") }, "GONE", map[string]int{})
	})
}
