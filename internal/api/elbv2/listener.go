package elbv2

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// checkProtocol refuses everything but HTTP, in the words of what is missing.
func checkProtocol(p elbv2api.ProtocolEnum, certificates []elbv2api.Certificate) error {
	switch p {
	case elbv2api.ProtocolEnumHttp:
		if len(certificates) > 0 {
			return invalid("A certificate cannot be specified for HTTP listeners")
		}
		return nil
	case elbv2api.ProtocolEnumHttps:
		if len(certificates) == 0 {
			return invalid("A certificate must be specified for HTTPS listeners")
		}
		return awsapi.NewError(elbv2api.ErrCertificateNotFound, "Certificate '%s' not found: Neargate has no certificate service yet, hence no HTTPS listeners",
			awsapi.Val(certificates[0].CertificateArn))
	case "":
		return invalid("A listener protocol must be specified")
	}
	return invalid("Listener protocol '%s' must be one of 'HTTPS, HTTP'", p)
}

func checkPort(port *int32) (int, error) {
	n := int(awsapi.Val(port))
	if n < 1 || n > 65535 {
		return 0, invalid("A listener port between 1 and 65535 must be specified")
	}
	return n, nil
}

// CreateListener opens a port. Repeating a creation with the same settings returns what there is.
func (s *Server) CreateListener(ctx context.Context, in *elbv2api.CreateListenerInput) (*elbv2api.CreateListenerOutput, error) {
	if err := checkProtocol(in.Protocol, in.Certificates); err != nil {
		return nil, err
	}
	if err := only(in, "LoadBalancerArn", "Port", "Protocol", "DefaultActions", "Tags", "Certificates"); err != nil {
		return nil, err
	}
	port, err := checkPort(in.Port)
	if err != nil {
		return nil, err
	}
	actions, err := parseActions(in.DefaultActions)
	if err != nil {
		return nil, err
	}
	meta, err := s.meta(in.Tags)
	if err != nil {
		return nil, err
	}
	lbARN := awsapi.Val(in.LoadBalancerArn)
	var answer elbv2api.Listener
	err = s.update(ctx, func(tx *store.Txn) error {
		lb, ok := s.tables.LoadBalancers.Get(tx, lbARN)
		if !ok {
			return loadBalancerNotFound(lbARN)
		}
		for old := range s.tables.Listeners.By(tx, "load-balancer", lbARN) {
			if old.Port != port {
				continue
			}
			if old.Protocol == string(in.Protocol) && reflect.DeepEqual(old.DefaultActions, actions) {
				answer = describeListener(old)
				return nil
			}
			return duplicateListener(lbARN)
		}
		if s.tables.Listeners.LenBy(tx, "load-balancer", lbARN) >= maxListeners {
			return awsapi.NewError(elbv2api.ErrTooManyListeners, "A load balancer can have at most %d listeners", maxListeners)
		}
		if err := s.checkGroups(tx, lb, actions); err != nil {
			return err
		}
		id := model.Hex(16)
		l := &model.Listener{
			Meta: meta, ARN: s.scope.ListenerARN(lb.Name, lb.ID, id), ID: id, LoadBalancerARN: lb.ARN, Port: port, Protocol: string(in.Protocol),
			DefaultActions: actions, DefaultRuleARN: s.scope.RuleARN(lb.Name, lb.ID, id, model.Hex(16)),
		}
		s.tables.Listeners.Put(tx, l)
		answer = describeListener(l)
		return s.checkGroupCount(tx, lb.ARN)
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.CreateListenerOutput{Listeners: []elbv2api.Listener{answer}}, nil
}

func duplicateListener(lbARN string) error {
	return awsapi.NewError(elbv2api.ErrDuplicateListener, "A listener already exists on this port for this load balancer '%s'", lbARN)
}

// ModifyListener changes the port or the default actions.
func (s *Server) ModifyListener(ctx context.Context, in *elbv2api.ModifyListenerInput) (*elbv2api.ModifyListenerOutput, error) {
	if in.Protocol != "" {
		if err := checkProtocol(in.Protocol, in.Certificates); err != nil {
			return nil, err
		}
	}
	if err := only(in, "ListenerArn", "Port", "Protocol", "DefaultActions"); err != nil {
		return nil, err
	}
	var actions []model.Action
	var err error
	if len(in.DefaultActions) > 0 {
		if actions, err = parseActions(in.DefaultActions); err != nil {
			return nil, err
		}
	}
	arn := awsapi.Val(in.ListenerArn)
	var answer elbv2api.Listener
	err = s.update(ctx, func(tx *store.Txn) error {
		old, lb, err := s.listener(tx, arn)
		if err != nil {
			return err
		}
		l := s.tables.Listeners.Clone(old)
		if in.Port != nil {
			if l.Port, err = checkPort(in.Port); err != nil {
				return err
			}
			for other := range s.tables.Listeners.By(tx, "load-balancer", lb.ARN) {
				if other.ARN != arn && other.Port == l.Port {
					return duplicateListener(lb.ARN)
				}
			}
		}
		if actions != nil {
			if err := s.checkGroups(tx, lb, actions); err != nil {
				return err
			}
			l.DefaultActions = actions
		}
		s.tables.Listeners.Put(tx, l)
		answer = describeListener(l)
		return s.checkGroupCount(tx, lb.ARN)
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.ModifyListenerOutput{Listeners: []elbv2api.Listener{answer}}, nil
}

func (s *Server) listener(r store.Reader, arn string) (*model.Listener, *model.LoadBalancer, error) {
	l, ok := s.tables.Listeners.Get(r, arn)
	if !ok {
		return nil, nil, listenerNotFound(arn)
	}
	lb, ok := s.tables.LoadBalancers.Get(r, l.LoadBalancerARN)
	if !ok {
		return nil, nil, loadBalancerNotFound(l.LoadBalancerARN)
	}
	return l, lb, nil
}

// listenerOfDefaultRule returns the listener whose default rule has that ARN.
func (s *Server) listenerOfDefaultRule(r store.Reader, ruleARN string) (*model.Listener, bool) {
	a, ok := model.ParseARN(ruleARN)
	parts := strings.Split(a.Resource, "/")
	if !ok || len(parts) != 6 { // listener-rule/app/<name>/<lb>/<listener>/<rule>
		return nil, false
	}
	l, ok := s.tables.Listeners.Get(r, s.scope.ListenerARN(parts[2], parts[3], parts[4]))
	return l, ok && l.DefaultRuleARN == ruleARN
}

// DeleteListener closes a port.
func (s *Server) DeleteListener(ctx context.Context, in *elbv2api.DeleteListenerInput) (*elbv2api.DeleteListenerOutput, error) {
	arn := awsapi.Val(in.ListenerArn)
	err := s.update(ctx, func(tx *store.Txn) error {
		l, ok := s.tables.Listeners.Get(tx, arn)
		if !ok {
			return listenerNotFound(arn)
		}
		s.deleteListener(tx, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.DeleteListenerOutput{}, nil
}

func (s *Server) deleteListener(tx *store.Txn, l *model.Listener) {
	for r := range s.tables.Rules.By(tx, "listener", l.ARN) {
		s.tables.Rules.Delete(tx, r.ARN)
	}
	s.tables.Listeners.Delete(tx, l.ARN)
}

// DescribeListeners lists listeners of a load balancer, or those named.
func (s *Server) DescribeListeners(_ context.Context, in *elbv2api.DescribeListenersInput) (*elbv2api.DescribeListenersOutput, error) {
	view := s.db.View()
	var found []*model.Listener
	switch arn := awsapi.Val(in.LoadBalancerArn); {
	case arn != "" && len(in.ListenerArns) > 0:
		return nil, invalid("You cannot specify both a load balancer ARN and listener ARNs")
	case arn != "":
		if !s.tables.LoadBalancers.Has(view, arn) {
			return nil, loadBalancerNotFound(arn)
		}
		found = slices.Collect(s.tables.Listeners.By(view, "load-balancer", arn))
	case len(in.ListenerArns) == 0:
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	default:
		for _, arn := range in.ListenerArns {
			l, ok := s.tables.Listeners.Get(view, arn)
			if !ok {
				return nil, listenerNotFound(arn)
			}
			found = append(found, l)
		}
	}
	cut, next, err := page("DescribeListeners", found, func(l *model.Listener) string { return l.ARN }, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := &elbv2api.DescribeListenersOutput{NextMarker: next}
	for _, l := range cut {
		out.Listeners = append(out.Listeners, describeListener(l))
	}
	return out, nil
}

func describeListener(l *model.Listener) elbv2api.Listener {
	return elbv2api.Listener{
		ListenerArn: &l.ARN, LoadBalancerArn: &l.LoadBalancerARN, Port: awsapi.Ptr(int32(l.Port)), Protocol: elbv2api.ProtocolEnum(l.Protocol),
		DefaultActions: describeActions(l.DefaultActions),
	}
}

// DescribeListenerCertificates lists no certificates: HTTP listeners have none.
func (s *Server) DescribeListenerCertificates(_ context.Context, in *elbv2api.DescribeListenerCertificatesInput) (*elbv2api.DescribeListenerCertificatesOutput, error) {
	if !s.tables.Listeners.Has(s.db.View(), awsapi.Val(in.ListenerArn)) {
		return nil, listenerNotFound(awsapi.Val(in.ListenerArn))
	}
	return &elbv2api.DescribeListenerCertificatesOutput{}, nil
}

// DescribeListenerAttributes lists a listener's attributes; headers that are not set are left out.
func (s *Server) DescribeListenerAttributes(_ context.Context, in *elbv2api.DescribeListenerAttributesInput) (*elbv2api.DescribeListenerAttributesOutput, error) {
	l, ok := s.tables.Listeners.Get(s.db.View(), awsapi.Val(in.ListenerArn))
	if !ok {
		return nil, listenerNotFound(awsapi.Val(in.ListenerArn))
	}
	return &elbv2api.DescribeListenerAttributesOutput{Attributes: describeListenerAttributes(l)}, nil
}

// ModifyListenerAttributes changes a listener's attributes.
func (s *Server) ModifyListenerAttributes(ctx context.Context, in *elbv2api.ModifyListenerAttributesInput) (*elbv2api.ModifyListenerAttributesOutput, error) {
	arn := awsapi.Val(in.ListenerArn)
	var answer []elbv2api.ListenerAttribute
	err := s.update(ctx, func(tx *store.Txn) error {
		old, ok := s.tables.Listeners.Get(tx, arn)
		if !ok {
			return listenerNotFound(arn)
		}
		var asked []attribute
		for _, a := range in.Attributes {
			asked = append(asked, attribute{key: awsapi.Val(a.Key), value: awsapi.Val(a.Value)})
		}
		l := s.tables.Listeners.Clone(old)
		var err error
		if l.Attributes, err = listenerAttributes.merge(old.Attributes, asked); err != nil {
			return err
		}
		s.tables.Listeners.Put(tx, l)
		answer = describeListenerAttributes(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.ModifyListenerAttributesOutput{Attributes: answer}, nil
}

func describeListenerAttributes(l *model.Listener) []elbv2api.ListenerAttribute {
	var list []elbv2api.ListenerAttribute
	for _, a := range listenerAttributes.list(l.Attributes) {
		if a.value != "" {
			list = append(list, elbv2api.ListenerAttribute{Key: awsapi.Ptr(a.key), Value: awsapi.Ptr(a.value)})
		}
	}
	return list
}
