package probe

import (
	"encoding/binary"
	"slices"
)

// payload returns what to send to a UDP port: a request that the service usual
// there answers, by its specification, that changes nothing and asks for little.
// Other ports get an empty datagram, which some services answer and every closed
// door.
func payload(port uint16) []byte {
	switch port {
	case 7, 13, 17, 19, 37: // echo, daytime, qotd, chargen, time: RFC 862, 867, 865, 864, 868
		return []byte("\r\n")
	case 53, 853, 5300, 5335, 1053, 8600: // DNS, RFC 1035; 8600 is Consul's
		return dnsQuery(0x0100, "", 2, 1)
	case 5353, 5355: // mDNS and LLMNR: the services of RFC 6763 section 9, a unicast answer asked for
		return dnsQuery(0, "\x09_services\x07_dns-sd\x04_udp\x05local", 12, 0x8001)
	case 69: // TFTP, RFC 1350: a file that is not there; the error is an answer
		return []byte("\x00\x01monban-no-such-file\x00octet\x00")
	case 88: // Kerberos, RFC 4120: an AS-REQ without a client is refused by a KRB-ERROR
		return kerberosRequest()
	case 111: // rpcbind, RFC 5531: the null procedure of program 100000
		return rpcNull(100000, 2)
	case 2049: // NFS: the null procedure of program 100003
		return rpcNull(100003, 3)
	case 123: // NTP, RFC 5905: a client's request, version 4
		return append([]byte{0xe3, 0, 4, 0xfa}, make([]byte, 44)...)
	case 137: // NetBIOS name service, RFC 1002 section 4.2.18: node status of "*"
		return netbiosStatus()
	case 161, 1161: // SNMP: engine discovery of version 3 (RFC 3414 section 4), which needs no community
		return snmpDiscovery()
	case 177: // XDMCP: a query without authentication names
		return []byte{0, 1, 0, 2, 0, 1, 0}
	case 389: // CLDAP, RFC 4511: the root DSE's supported versions
		return cldapSearch()
	case 427: // SLP, RFC 2608: which service types are there
		return slpTypes()
	case 443, 8443, 4433: // QUIC, RFC 9000 section 6: an unknown version is answered by those known
		return quicUnknown()
	case 500, 4500: // IKE, RFC 7296: an SA proposal of an unknown kind is refused
		return ikeInit(port == 4500)
	case 520: // RIP, RFC 2453 section 3.9.1: the whole table
		return append([]byte{1, 2, 0, 0, 0, 0, 0, 0}, append(make([]byte, 12), 0, 0, 0, 16)...)
	case 623: // IPMI: RMCP presence ping (ASF 2.0 section 3.2.4.3)
		return []byte{6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 1, 0, 0}
	case 1194: // OpenVPN: P_CONTROL_HARD_RESET_CLIENT_V2
		return append([]byte{0x38}, append([]byte("monban\x00\x01"), 0, 0, 0, 0, 0)...)
	case 1434: // SQL Server Browser: CLNT_UCAST_EX (MS-SQLR 2.2.2)
		return []byte{3}
	case 1645, 1812: // RADIUS, RFC 5997: Status-Server
		return append([]byte{12, 1, 0, 20}, make([]byte, 16)...)
	case 1701: // L2TP, RFC 2661: Start-Control-Connection-Request
		return l2tpStart()
	case 1900: // SSDP, UPnP 1.1 section 1.3.2, to one device
		return []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n")
	case 3478, 5349, 19302: // STUN, RFC 8489: a binding request
		return []byte("\x00\x01\x00\x00\x21\x12\xa4\x42monban-probe")
	case 3702: // WS-Discovery
		return []byte(`<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action><a:MessageID>urn:uuid:6d6f6e62-616e-4000-8000-000000000001</a:MessageID><a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body><d:Probe/></s:Body></s:Envelope>`)
	case 5060: // SIP, RFC 3261: OPTIONS
		return []byte("OPTIONS sip:monban SIP/2.0\r\nVia: SIP/2.0/UDP monban.invalid;branch=z9hG4bKmonban;rport\r\nMax-Forwards: 0\r\nFrom: <sip:monban@monban.invalid>;tag=monban\r\nTo: <sip:monban@monban.invalid>\r\nCall-ID: monban\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
	case 5351: // NAT-PMP, RFC 6886: the external address
		return []byte{0, 0}
	case 5683: // CoAP, RFC 7252: GET /.well-known/core
		return []byte("\x40\x01mb\xbb.well-known\x04core")
	case 6881: // BitTorrent DHT, BEP 5: ping
		return []byte("d1:ad2:id20:monban-monban-monbane1:q4:ping1:t2:mb1:y1:qe")
	case 10001: // Ubiquiti discovery
		return []byte{1, 0, 0, 0}
	case 11211: // memcached: a datagram frame and a text request
		return []byte("\x00\x01\x00\x00\x00\x01\x00\x00version\r\n")
	case 27015, 27016, 2303: // Source engine query: A2S_INFO
		return []byte("\xff\xff\xff\xffTSource Engine Query\x00")
	case 47808: // BACnet: Who-Is in a unicast NPDU
		return []byte{0x81, 0x0a, 0, 8, 1, 0, 0x10, 8}
	case 51820: // WireGuard answers only who knows its key
		return nil
	}
	return nil
}

// payloadPorts are the UDP ports for which [payload] has a request.
func payloadPorts() (ports []uint16) {
	for p := range 1 << 16 {
		if payload(uint16(p)) != nil {
			ports = append(ports, uint16(p))
		}
	}
	return ports
}

// UDPPorts returns the UDP ports whose services are asked in their own protocol,
// in order: for the others a scan of UDP can rarely tell anything.
func UDPPorts() []uint16 { return payloadPorts() }

// dnsQuery is a query of one question; the name is in wire form without its end.
func dnsQuery(flags uint16, name string, kind, class uint16) []byte {
	b := binary.BigEndian.AppendUint16([]byte("mb"), flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	b = append(append(b, name...), 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	return binary.BigEndian.AppendUint16(b, class)
}

// rpcNull calls procedure 0, which does nothing and has no arguments.
func rpcNull(program, version uint32) []byte {
	var b []byte
	for _, word := range []uint32{0x6d6f6e62, 0, 2, program, version, 0, 0, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	return b
}

func netbiosStatus() []byte {
	b := []byte("mb\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x20CK")
	for range 30 {
		b = append(b, 'A')
	}
	return append(b, 0, 0, 0x21, 0, 1)
}

// tlv is one value of BER, up to 127 bytes long.
func tlv(tag byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return append([]byte{tag, byte(len(body))}, body...)
}

func snmpDiscovery() []byte {
	integer := func(n ...byte) []byte { return tlv(2, n) }
	empty := tlv(4)
	header := tlv(0x30, integer(0x6d, 0x6f), integer(0, 0xff, 0xe3), tlv(4, []byte{4}), integer(3))
	security := tlv(4, tlv(0x30, empty, integer(0), integer(0), empty, empty, empty))
	pdu := tlv(0x30, empty, empty, tlv(0xa0, integer(0x6d, 0x6f), integer(0), integer(0), tlv(0x30)))
	return tlv(0x30, integer(3), header, security, pdu)
}

func cldapSearch() []byte {
	return tlv(0x30, tlv(2, []byte{1}), tlv(0x63, tlv(4), tlv(10, []byte{0}), tlv(10, []byte{0}), tlv(2, []byte{1}), tlv(2, []byte{1}),
		tlv(1, []byte{0}), tlv(0x87, []byte("objectClass")), tlv(0x30, tlv(4, []byte("supportedLDAPVersion")))))
}

func kerberosRequest() []byte {
	number := func(tag byte, n byte) []byte { return tlv(tag, tlv(2, []byte{n})) }
	name := tlv(0xa2, tlv(0x30, number(0xa0, 2), tlv(0xa1, tlv(0x30, tlv(0x1b, []byte("krbtgt")), tlv(0x1b, []byte("MONBAN"))))))
	body := tlv(0xa4, tlv(0x30, tlv(0xa0, tlv(3, []byte{0, 0, 0, 0, 0})), tlv(0xa2, tlv(0x1b, []byte("MONBAN"))), tlv(0xa3, name[2:]),
		tlv(0xa5, tlv(0x18, []byte("19700101000000Z"))), number(0xa7, 1), tlv(0xa8, tlv(0x30, tlv(2, []byte{18})))))
	return tlv(0x6a, tlv(0x30, number(0xa1, 5), number(0xa2, 10), body))
}

func slpTypes() []byte {
	// Version 2, SrvTypeRqst, language "en", every naming authority, scope
	// "default".
	body := []byte("\x00\x00\xff\xff\x00\x07default")
	b := []byte{2, 9, 0, 0, byte(16 + len(body)), 0, 0, 0, 0, 0, 'm', 'b', 0, 2, 'e', 'n'}
	return append(b, body...)
}

func quicUnknown() []byte {
	b := []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8}
	b = append(append(b, "monbanmb"...), 0)
	return append(b, make([]byte, 1200-len(b))...) // a shorter one is not answered
}

func ikeInit(marker bool) []byte {
	var b []byte
	if marker {
		b = make([]byte, 4) // non-ESP marker, RFC 3948
	}
	// IKE_SA_INIT whose one payload is a SA with one proposal and one transform.
	transform := []byte{0, 0, 0, 8, 1, 0, 0, 12}
	proposal := append([]byte{0, 0, 0, 16, 1, 1, 0, 1}, transform...)
	sa := append([]byte{0, 0, 0, 20}, proposal...)
	b = append(append(b, "monbanmb"...), make([]byte, 8)...)
	b = append(b, 33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, byte(28+len(sa)))
	return append(b, sa...)
}

func l2tpStart() []byte {
	avp := func(kind uint16, value ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, 0x8000|uint16(6+len(value)))
		return append(binary.BigEndian.AppendUint16(append(b, 0, 0), kind), value...)
	}
	body := slices.Concat(avp(0, 0, 1), avp(2, 1, 0), avp(3, 0, 0, 0, 3), avp(7, 'm', 'b'), avp(9, 0, 1))
	b := binary.BigEndian.AppendUint16(nil, 0xc802)
	b = binary.BigEndian.AppendUint16(b, uint16(12+len(body)))
	return append(append(b, make([]byte, 8)...), body...)
}
