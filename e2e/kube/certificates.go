package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// lifetime is long: a cluster lives for a test run, and an expired certificate would be a riddle.
const lifetime = 10 * 365 * 24 * time.Hour

// identity is a certificate with its key.
type identity struct {
	cert            *x509.Certificate
	key             crypto.Signer
	certPEM, keyPEM []byte
}

// issuer writes identities signed by one CA into a directory.
type issuer struct {
	dir string
	ca  identity
}

func newIdentity(ca *identity, cn string, orgs, names, ips []string) identity {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := &x509.Certificate{
		SerialNumber:          must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))),
		Subject:               pkix.Name{CommonName: cn, Organization: orgs},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:              names,
		BasicConstraintsValid: true,
	}
	for _, ip := range ips {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(ip))
	}
	parent, signer := t, crypto.Signer(key)
	if ca == nil {
		t.IsCA, t.KeyUsage, t.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature, nil
	} else {
		parent, signer = ca.cert, ca.key
	}
	der := must(x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer))
	return identity{
		cert:    must(x509.ParseCertificate(der)),
		key:     key,
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}),
	}
}

func (i issuer) write(name string, b []byte) {
	must(0, os.WriteFile(filepath.Join(i.dir, name), b, 0o600))
}

func (i issuer) pair(file, cn string, orgs, names, ips []string) {
	c := newIdentity(&i.ca, cn, orgs, names, ips)
	i.write(file+".crt", c.certPEM)
	i.write(file+".key", c.keyPEM)
}

func (i issuer) kubeconfig(file, cn string, orgs []string, url string) {
	c := newIdentity(&i.ca, cn, orgs, nil, nil)
	b64 := base64.StdEncoding.EncodeToString
	i.write(file+".kubeconfig", fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: user, user: {client-certificate-data: %s, client-key-data: %s}}]
contexts: [{name: local, context: {cluster: local, user: user}}]
current-context: local
`, url, b64(i.ca.certPEM), b64(c.certPEM), b64(c.keyPEM)))
}

// pki DIR SERVER-URL NODES LAN writes a CA, every certificate and every kubeconfig. LAN is the first
// three bytes of the machines' network, such as 10.89.0: the control plane is LAN.1, node I is LAN.(10+I).
func pki() int {
	a := arguments(4, "pki DIR SERVER-URL NODES LAN")
	dir, server, nodes, lan := a[0], a[1], must(strconv.Atoi(a[2])), a[3]
	must(0, os.MkdirAll(dir, 0o700))
	i := issuer{dir: dir, ca: newIdentity(nil, "local-kubernetes", nil, nil, nil)}
	i.write("ca.crt", i.ca.certPEM)
	i.write("ca.key", i.ca.keyPEM)

	sa := newIdentity(nil, "service-account", nil, nil, nil)
	i.write("sa.key", sa.keyPEM)
	// The API server takes no PKCS #8 private key for the public half: it wants PKIX.
	i.write("sa.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(sa.key.Public()))}))

	i.pair("apiserver", "kube-apiserver", nil,
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		[]string{"127.0.0.1", "10.96.0.1", lan + ".1"})
	i.pair("apiserver-kubelet", "kube-apiserver-kubelet-client", []string{"system:masters"}, nil, nil)
	i.pair("front-proxy", "front-proxy-client", nil, nil, nil)

	inside := "https://" + lan + ".1:6443"
	i.kubeconfig("admin", "admin", []string{"system:masters"}, server)
	i.kubeconfig("admin-inside", "admin", []string{"system:masters"}, inside)
	i.kubeconfig("provisioner", "local-provisioner", []string{"system:masters"}, inside)
	i.kubeconfig("dns", "local-dns", []string{"system:masters"}, inside)
	i.kubeconfig("kcm", "system:kube-controller-manager", nil, inside)
	i.kubeconfig("scheduler", "system:kube-scheduler", nil, inside)
	i.kubeconfig("proxy", "system:kube-proxy", nil, inside)
	for n := 1; n <= nodes; n++ {
		name, ip := fmt.Sprintf("n%d", n), fmt.Sprintf("%s.%d", lan, 10+n)
		i.pair("kubelet-"+name, "system:node:"+name, []string{"system:nodes"}, []string{name}, []string{ip, "127.0.0.1"})
		i.kubeconfig("kubelet-"+name, "system:node:"+name, []string{"system:nodes"}, inside)
	}
	return 0
}
