// Boost.Beast on Asio, one thread: `beast server` echoes; `beast client` measures itself. Callbacks, as in the
// asynchronous examples of its documentation, over a plain TCP socket: no timers, no compression.
//
// server: greets with its port; commands settle, quit
// client: connect PORT MODE (rtt, burst or feed-bytes) -> id=N; run ID COUNT SIZE LENGTH PID -> clocks, as c/driver.c
extern "C" {
#include "meter.h"
}

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <cstdio>
#include <functional>
#include <istream>
#include <memory>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::beast::flat_buffer;
using boost::system::error_code;
using asio::ip::tcp;
using Stream = websocket::stream<tcp::socket>;

static const auto localhost = asio::ip::address_v4::loopback();

static void set_up(Stream &stream)
{
    websocket::stream_base::timeout never{websocket::stream_base::none(), websocket::stream_base::none(), false};
    stream.set_option(never);
    stream.next_layer().set_option(tcp::no_delay(true));
    stream.auto_fragment(false);
    stream.read_message_max(1 << 30);
    stream.binary(true);
}

class Session : public std::enable_shared_from_this<Session> {
public:
    explicit Session(tcp::socket socket) : stream_(std::move(socket)) { set_up(stream_); }

    void start()
    {
        stream_.async_accept([self = shared_from_this()](error_code error) {
            if (!error)
                self->read();
        });
    }

private:
    void read()
    {
        stream_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
            if (!error)
                self->write();
        });
    }

    void write()
    {
        stream_.text(stream_.got_text());
        stream_.async_write(buffer_.data(), [self = shared_from_this()](error_code error, std::size_t size) {
            if (error)
                return;
            self->buffer_.consume(size);
            self->read();
        });
    }

    Stream stream_;
    flat_buffer buffer_;
};

class Client {
public:
    Client(asio::io_context &loop, unsigned short port, bool feed) : stream_(loop), feed_(feed)
    {
        stream_.next_layer().connect({localhost, port});
        set_up(stream_);
        stream_.handshake("127.0.0.1:" + std::to_string(port), feed ? "/feed" : "/echo");
    }

    void run(long count, std::size_t size, long length, std::function<void()> done)
    {
        message_.assign(size, 0);
        done_ = std::move(done);
        bursts_ = count;
        length_ = length;
        if (feed_) {
            std::string order = std::to_string(count) + " " + std::to_string(size) + " 2";
            bursts_ = 1;
            length_ = count;
            stream_.text(true);
            stream_.write(asio::buffer(order));
            to_come_ = length_;
            read();
        } else {
            burst();
        }
    }

private:
    void burst()
    {
        to_come_ = to_send_ = length_;
        read();
        write();
    }

    void write()    // one write at a time is what a stream allows
    {
        stream_.async_write(asio::buffer(message_), [this](error_code error, std::size_t) {
            if (error)
                throw boost::system::system_error(error);
            if (--to_send_)
                write();
        });
    }

    void read()
    {
        stream_.async_read(buffer_, [this](error_code error, std::size_t size) {
            if (error)
                throw boost::system::system_error(error);
            buffer_.consume(size);
            if (--to_come_)
                read();
            else if (--bursts_)
                burst();
            else
                done_();
        });
    }

    Stream stream_;
    bool feed_;
    flat_buffer buffer_;
    std::vector<char> message_;
    long bursts_ = 0, length_ = 0, to_send_ = 0, to_come_ = 0;
    std::function<void()> done_;
};

class Commands {
public:
    Commands(asio::io_context &loop, std::function<void(const std::string &)> obey)
        : loop_(loop), input_(loop, ::dup(0)), obey_(std::move(obey))
    {
        next();
    }

private:
    void next()
    {
        asio::async_read_until(input_, buffer_, '\n', [this](error_code error, std::size_t) {
            std::string line;
            std::istream stream(&buffer_);
            std::getline(stream, line);
            if (error || line == "quit")
                return loop_.stop();
            obey_(line);
            next();
        });
    }

    asio::io_context &loop_;
    asio::posix::stream_descriptor input_;
    asio::streambuf buffer_;
    std::function<void(const std::string &)> obey_;
};

static void accept(tcp::acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
        if (!error)
            std::make_shared<Session>(std::move(socket))->start();
        accept(acceptor);
    });
}

static void serve(asio::io_context &loop)
{
    tcp::acceptor acceptor(loop, {localhost, 0});
    accept(acceptor);
    Commands commands(loop, [](const std::string &line) { std::puts(line == "settle" ? "ok" : "error unknown command"); });
    std::printf("ok port=%d\n", acceptor.local_endpoint().port());
    loop.run();
}

static void measure(asio::io_context &loop)
{
    std::vector<std::unique_ptr<Client>> clients;
    meter clocks{};
    Commands commands(loop, [&](const std::string &line) {
        std::istringstream words(line);
        std::string name, mode;
        long port, id, count, length;
        std::size_t size;
        if (words >> name; name == "connect" && words >> port >> mode) {
            if (mode != "rtt" && mode != "burst" && mode != "feed-bytes") {
                std::puts("ok");    // not known here
                return;
            }
            clients.push_back(std::make_unique<Client>(loop, static_cast<unsigned short>(port), mode[0] == 'f'));
            std::printf("ok id=%zu\n", clients.size() - 1);
        } else if (name == "run" && words >> id >> count >> size >> length >> clocks.watched) {
            meter_start(&clocks);
            clients.at(static_cast<std::size_t>(id))->run(count, size, length, [&] {
                meter_stop(&clocks);
                meter_print(&clocks);
            });
        } else {
            std::puts("error unknown command");
        }
    });
    std::puts("ok");
    loop.run();
}

int main(int, char **arguments)
{
    asio::io_context loop(1);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    std::string(arguments[1]) == "server" ? serve(loop) : measure(loop);
    std::fflush(stdout);
    _exit(0);    // nothing here needs a farewell
}
