package tlspeek_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/monban-dev/monban/probe/identify/internal/tlspeek"
)

type keyPair interface {
	*rsa.PrivateKey | *ecdsa.PrivateKey
}

func selfSigned[K keyPair](t testing.TB, key K, public any) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"door.example"},
		Subject: pkix.Name{CommonName: "door.example", Organization: []string{"Gate, Keepers"}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve runs one handshake of crypto/tls and answers "hello" with "welcome".
func serve(t *testing.T, config *tls.Config) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer server.Close()
		c := tls.Server(server, config)
		buf := make([]byte, 5)
		if _, err := io.ReadFull(c, buf); err == nil && string(buf) == "hello" {
			_, _ = c.Write(append([]byte("welcome"), bytes.Repeat([]byte{'!'}, 40000)...))
			c.Close()
		}
	}()
	_ = client.SetDeadline(time.Now().Add(time.Minute))
	return client
}

func TestAgainstCryptoTLS(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificates := map[string]tls.Certificate{"rsa": selfSigned(t, rsaKey, &rsaKey.PublicKey), "ecdsa": selfSigned(t, ecKey, &ecKey.PublicKey)}
	configs := map[string]*struct {
		tls.Config
		version string
		outside bool // it is not gone inside
		asked   bool
	}{
		"1.3":                    {Config: tls.Config{MinVersion: tls.VersionTLS13}, version: "TLS 1.3"},
		"1.3 P-256":              {Config: tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, version: "TLS 1.3"},
		"1.3 P-384":              {Config: tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, outside: true},
		"1.3 certificate wished": {Config: tls.Config{ClientAuth: tls.RequestClientCert}, version: "TLS 1.3", asked: true},
		"1.2":                    {Config: tls.Config{MaxVersion: tls.VersionTLS12}, version: "TLS 1.2"},
		"1.2 AES-256": {Config: tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}}, version: "TLS 1.2"},
		"1.2 certificate wished": {Config: tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}, version: "TLS 1.2", asked: true},
		"1.2 CBC": {Config: tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, version: "TLS 1.2", outside: true},
		"1.0": {Config: tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, version: "TLS 1.0", outside: true},
	}
	for key, certificate := range certificates {
		for name, test := range configs {
			t.Run(key+" "+name, func(t *testing.T) {
				config := test.Config.Clone()
				config.Certificates = []tls.Certificate{certificate}
				raw := serve(t, config)
				defer raw.Close()
				c, peer, err := tlspeek.Client(raw)
				if !peer.Spoke || peer.Version != test.version || peer.Asked != test.asked {
					t.Errorf("peer %+v, %v", peer, err)
				}
				if test.version != "" && !bytes.Equal(peer.Certificate, certificate.Certificate[0]) {
					t.Error("another certificate")
				}
				if (err != nil) != test.outside {
					t.Fatalf("error %v", err)
				}
				if test.outside {
					return
				}
				if _, err := c.Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(c)
				if err != nil || len(answer) != 40007 || string(answer[:8]) != "welcome!" {
					t.Errorf("heard %d bytes, %v", len(answer), err)
				}
			})
		}
	}
}

// TestCertificateDemanded: the refusal comes after the handshake in TLS 1.3,
// and in it in 1.2.
func TestCertificateDemanded(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		raw := serve(t, &tls.Config{MaxVersion: version, ClientAuth: tls.RequireAnyClientCert, Certificates: []tls.Certificate{selfSigned(t, key, &key.PublicKey)}})
		defer raw.Close()
		c, peer, err := tlspeek.Client(raw)
		var alert *tlspeek.AlertError
		if err == nil {
			if _, err = c.Read(make([]byte, 10)); !errors.As(err, &alert) {
				t.Errorf("%x: inside, %v", version, err)
			}
		}
		if err == nil || !peer.Spoke || !peer.Asked || peer.Certificate == nil {
			t.Errorf("%x: %+v, %v", version, peer, err)
		}
	}
}

func TestNotTLS(t *testing.T) {
	for _, said := range []string{"", "HTTP/1.1 400 Bad Request\r\n\r\n", "\x16", "\x16\x03\x03\x00\x04\x02\x00\x00\x00", "\x15\x03\x03\x00\x02\x02", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"} {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Read(make([]byte, 4096))
			_, _ = io.WriteString(server, said)
			server.Close()
		}()
		if _, peer, err := tlspeek.Client(client); err == nil || peer.Spoke {
			t.Errorf("%q: %+v, %v", said, peer, err)
		}
		client.Close()
	}
}

// TestRefusal: an alert instead of a ServerHello is TLS too.
func TestRefusal(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		_, _ = server.Read(make([]byte, 4096))
		_, _ = io.WriteString(server, "\x15\x03\x03\x00\x02\x02\x28")
		server.Close()
	}()
	if _, peer, err := tlspeek.Client(client); err == nil || !peer.Spoke {
		t.Errorf("%+v, %v", peer, err)
	}
}

// TestLeaf compares random certificates with what crypto/x509 reads in them.
func TestLeaf(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	word := rapid.StringMatching(`[ #]?[a-zA-Z,+"\\<>;=äöü門 ]{0,20}`)
	list := rapid.SliceOfN(word, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1),
			NotAfter:     time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "until"), 0).UTC(),
			Subject: pkix.Name{CommonName: word.Draw(t, "cn"), Organization: list.Draw(t, "o"), OrganizationalUnit: list.Draw(t, "ou"),
				Country: list.Draw(t, "c"), Locality: list.Draw(t, "l"), Province: list.Draw(t, "st"), StreetAddress: list.Draw(t, "street")},
			DNSNames:       rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,10}\.example`), 0, 4).Draw(t, "dns"),
			EmailAddresses: rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,10}@mail\.example`), 0, 2).Draw(t, "mail"),
		}
		if rapid.Bool().Draw(t, "address") {
			template.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")}
			template.URIs = []*url.URL{{Scheme: "https", Host: "uri.example"}}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Skip(err)
		}
		want, err := x509.ParseCertificate(der)
		if err != nil {
			t.Skip(err)
		}
		got, err := tlspeek.Leaf(der)
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != want.Subject.String() || got.Issuer != want.Issuer.String() || !got.NotAfter.Equal(want.NotAfter) {
			t.Errorf("got %+v, want %v until %v", got, want.Subject, want.NotAfter)
		}
		var names []string
		names = append(append(names, want.DNSNames...), want.EmailAddresses...)
		for _, ip := range want.IPAddresses {
			a, _ := netip.AddrFromSlice(ip)
			names = append(names, a.String())
		}
		for _, u := range want.URIs {
			names = append(names, u.String())
		}
		slices.Sort(names)
		slices.Sort(got.Names)
		if !slices.Equal(names, got.Names) {
			t.Errorf("names %q, want %q", got.Names, names)
		}
	})
}

func FuzzLeaf(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(selfSigned(f, key, &key.PublicKey).Certificate[0])
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := tlspeek.Leaf(der)
		if err != nil && (c.Subject != "" || c.Names != nil) {
			t.Errorf("an error and %+v", c)
		}
		want, err509 := x509.ParseCertificate(der)
		if err509 == nil && err == nil && !c.NotAfter.Equal(want.NotAfter) {
			t.Errorf("until %v, not %v", c.NotAfter, want.NotAfter)
		}
	})
}

// FuzzClient lets a server say anything.
func FuzzClient(f *testing.F) {
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x28"))
	f.Add([]byte("\x16\x03\x03\x00\x30\x02\x00\x00\x2c\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\xc0\x2f\x00\x00\x04\xff\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		c := &scripted{Reader: bytes.NewReader(said)}
		if _, peer, err := tlspeek.Client(c); err == nil {
			t.Errorf("went inside with %+v", peer)
		}
	})
}

// scripted says what it says, and takes everything.
type scripted struct {
	*bytes.Reader
	net.Conn
}

func (s *scripted) Read(b []byte) (int, error)  { return s.Reader.Read(b) }
func (s *scripted) Write(b []byte) (int, error) { return len(b), nil }
