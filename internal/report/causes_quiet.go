package report

// quietCauses let a door open that then cannot be used.
var quietCauses = [...]causeEntry{
	{"B1",
		causeWords{"Browsers refuse this port number",
			"To keep web pages from talking to mail or chat servers, browsers and fetch() never connect to certain ports, among them 6000, 6665–6669, 6697 and 10080. The server works, and curl reaches it; only the browser says ERR_UNSAFE_PORT or that the address is restricted.",
			[]string{
				"Move the server to a port that is not on the list, such as 3000 or 8080.",
			}},
		causeWords{"ブラウザーが接続を拒否するポート番号です",
			"Web ページからメールやチャットのサーバーへ通信させないために、ブラウザーや fetch() は特定のポートに接続しません。6000、6665–6669、6697、10080 などです。サーバーは正常に動いていて curl では接続できますが、ブラウザーだけが ERR_UNSAFE_PORT などのエラーになります。",
			[]string{
				"3000 や 8080 など、対象外のポート番号にサーバーを移してください。",
			}}},
	{"B2",
		causeWords{"The program listens on the container's own loopback address",
			"Inside a container, 127.0.0.1 means the container itself. A published port arrives at the container's other address, where nobody listens, so the connection is refused or reset although everything seems to run.",
			[]string{
				"Let the program listen on 0.0.0.0 (or [::]) inside the container, for example with --host 0.0.0.0.",
				"To keep it private, publish it on loopback of the host: -p 127.0.0.1:8080:80.",
			}},
		causeWords{"コンテナ内のループバックアドレスだけで待ち受けています",
			"コンテナの中の 127.0.0.1 は、コンテナ自身だけを指します。公開したポートへの通信はコンテナの別のアドレスに届くため、動いているように見えても接続が拒否されたり切断されたりします。",
			[]string{
				"コンテナの中では --host 0.0.0.0 などを指定して、0.0.0.0(または [::])で待ち受けてください。",
				"外部に公開したくない場合は、-p 127.0.0.1:8080:80 のように、ホスト側をループバックに限定してください。",
			}}},
	{"B3",
		causeWords{"The server answers on the other kind of localhost only",
			"The server listens on IPv6 (::1) only and the client tried IPv4 (127.0.0.1), or the other way round. Both are called localhost, but they are two addresses. The client is refused although the server runs.",
			[]string{
				"Connect by the address the server uses: http://[::1]:N or http://127.0.0.1:N.",
				"Or let the server listen on both, or on 127.0.0.1 explicitly (Vite: --host 127.0.0.1).",
			}},
		causeWords{"サーバーは、もう一方の localhost で待ち受けています",
			"サーバーは IPv6(::1)だけで待ち受けていて、クライアントは IPv4(127.0.0.1)に接続しようとしました。その逆の場合もあります。どちらも localhost と呼ばれますが、別々のアドレスです。そのため、サーバーが動いていても接続を拒否されます。",
			[]string{
				"http://[::1]:N や http://127.0.0.1:N のように、サーバーが使っているほうのアドレスで接続してください。",
				"または、両方で待ち受けるか、127.0.0.1 を明示してください(Vite なら --host 127.0.0.1)。",
			}}},
}
