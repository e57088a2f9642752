package codegen

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestParseManifest(t *testing.T) {
	m, err := ParseManifest(strings.NewReader("# all\n\nec2 CreateVpc # one\n ec2   DeleteVpc\necs RunTask\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Manifest{"ec2": {"CreateVpc", "DeleteVpc"}, "ecs": {"RunTask"}}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{"ec2", "ec2 a b", "ec2 A\nec2 A"} {
		if _, err := ParseManifest(strings.NewReader(wrong)); err == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}

func TestEnumSuffix(t *testing.T) {
	for value, want := range map[string]string{
		"TCP_UDP": "TcpUdp", "awsvpc": "Awsvpc", "application-load-balancer": "ApplicationLoadBalancer", "HTTP1Only": "HTTP1Only",
		"ipv4": "Ipv4", "A": "A", "x86_64": "X8664", "": "Empty", "-1": "1", "aws:x": "AwsX",
	} {
		if got := enumSuffix(value); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

// small is a model with one of everything, and a shape that nobody reaches.
func small() *Model {
	return &Model{
		Metadata: Metadata{ServiceID: "Small", Protocol: "ec2", EndpointPrefix: "small", APIVersion: "1"},
		Operations: map[string]Operation{
			"Get":    {Input: &Ref{Shape: "GetRequest"}, Output: &Ref{Shape: "Result"}, Errors: []Ref{{Shape: "GoneException"}}},
			"Again":  {Input: &Ref{Shape: "GetRequest"}, Output: &Ref{Shape: "Result"}},
			"Delete": {},
		},
		Shapes: map[string]*Shape{
			"GetRequest": {Type: "structure", Required: []string{"Id"}, Members: map[string]Ref{
				"Id": {Shape: "string", LocationName: "theId"}, "Filters": {Shape: "List", LocationName: "filter"}, "Mode": {Shape: "Mode"}}},
			"Result": {Type: "structure", Members: map[string]Ref{"Items": {Shape: "List", LocationName: "itemSet"}, "At": {Shape: "date"}}},
			"List":   {Type: "list", Member: &Ref{Shape: "Item", LocationName: "item"}},
			"Item": {Type: "structure", Members: map[string]Ref{"tags": {Shape: "Map"}, "inner": {Shape: "Item"}, "n": {Shape: "int"},
				"raw": {Shape: "blob"}, "doc": {Shape: "Doc"}}},
			"Map":           {Type: "map", Key: &Ref{Shape: "string"}, Value: &Ref{Shape: "string"}},
			"Mode":          {Type: "string", Enum: []string{"on", "ON", "off-line"}},
			"string":        {Type: "string"},
			"int":           {Type: "integer"},
			"date":          {Type: "timestamp"},
			"blob":          {Type: "blob"},
			"Doc":           {Type: "structure", Document: true},
			"GoneException": {Type: "structure"},
			"Unreached":     {Type: "structure"},
		},
	}
}

func TestGeneratePackage(t *testing.T) {
	files, err := generatePackage("small", small(), []string{"Get", "Again", "Delete"})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, name := range []string{"types.go", "enums.go", "shapes.go", "errors.go"} {
		got.WriteString("==> " + name + "\n" + string(files[name]))
	}
	golden := filepath.Join("testdata", "small.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestGenerateRefuses(t *testing.T) {
	if _, err := generatePackage("small", small(), []string{"Put"}); err == nil {
		t.Error("an operation that the model does not have is accepted")
	}
	clash := small()
	clash.Shapes["GetInput"] = &Shape{Type: "structure"}
	clash.Shapes["GetRequest"].Members["Clash"] = Ref{Shape: "GetInput"}
	if _, err := generatePackage("small", clash, []string{"Get"}); err == nil {
		t.Error("two shapes of one name are accepted")
	}
}

// TestGeneratedIsCurrent generates everything again where the models are at hand.
func TestGeneratedIsCurrent(t *testing.T) {
	models := os.Getenv("NEARGATE_MODELS")
	if models == "" {
		models = filepath.Join("..", "..", "..", "..", "..", "shared", "models")
	}
	if _, err := os.Stat(models); err != nil {
		t.Skipf("no API models at %s: set NEARGATE_MODELS", models)
	}
	f, err := os.Open(filepath.Join("..", "..", "manifest.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	manifest, err := ParseManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Generate(models, manifest)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil || string(have) != string(want) {
			t.Errorf("%s is not what the generator writes: run make generate (%v)", name, err)
		}
	}
}
