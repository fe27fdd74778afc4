// Stream fork: every output carries the input stream.
//
// Eager: an output that is ready takes its copy at once and does not wait for the others; the input
// beat is accepted when the last output has taken it. Copies are never offered twice.
//
//   WIDTH  bits of a beat
//   N      outputs; output i is bit i of m_tvalid and m_tready and slice i of m_tdata
//
// Timing: no latency, one beat a cycle; combinational from s to m, and from m_tready to s_tready.

`default_nettype none

module hwflow_fork #(
    parameter int WIDTH = 16,
    parameter int N     = 2
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    input  wire  [  WIDTH-1:0] s_tdata,
    input  wire                s_tvalid,
    output logic               s_tready,

    output logic [N*WIDTH-1:0] m_tdata,
    output logic [      N-1:0] m_tvalid,
    input  wire  [      N-1:0] m_tready
);

    if (WIDTH < 1 || N < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_fork: WIDTH (%0d) and N (%0d) must be positive", WIDTH, N);
    end

    logic [N-1:0] taken_reg;  // outputs that have the beat that the input is still offering

    assign m_tdata  = {N{s_tdata}};
    assign m_tvalid = {N{s_tvalid}} & ~taken_reg;
    assign s_tready = &(taken_reg | m_tready);

    always_ff @(posedge clk_i) begin
        if (!rst_ni || s_tready) taken_reg <= '0;
        else taken_reg <= taken_reg | (m_tvalid & m_tready);
    end

endmodule

`default_nettype wire
