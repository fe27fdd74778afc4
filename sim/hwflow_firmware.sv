// Simulation only, behavioural: the C++ that hls4ml made of a network, called over DPI, in the place of its layers.
//
//   IN_LANES, IN_W, IN_SIGNED, IN_BEATS   elements of a beat, bits of an element, beats of an image; OUT_* likewise
//
// An image is taken whole; then take_o is high for a cycle, at whose end every hwflow_firmware_weights hands its memories
// to the C++. The C++ runs at the next edge, and its results leave before another image comes in. So the cycles say nothing
// of hardware, and an image meets the weights as they are when all of it has come.

`default_nettype none

module hwflow_firmware #(
    parameter int IN_LANES  = 1,
    parameter int IN_W      = 8,
    parameter int IN_SIGNED = 0,
    parameter int IN_BEATS  = 64,
    parameter int OUT_LANES = 1,
    parameter int OUT_W     = 16,
    parameter int OUT_BEATS = 10
) (
    input  wire                        clk_i,
    input  wire                        rst_ni,
    output logic                       take_o,

    input  wire  [  IN_LANES*IN_W-1:0] s_tdata,
    input  wire                        s_tvalid,
    output logic                       s_tready,

    output logic [OUT_LANES*OUT_W-1:0] m_tdata,
    output logic                       m_tvalid,
    input  wire                        m_tready
);

    import "DPI-C" function void hwflow_firmware_open(input int inputs, input int outputs);
    import "DPI-C" function void hwflow_firmware_run(input longint inputs[], output longint outputs[]);

    if (IN_W > 64 || OUT_W > 64) begin : gen_error_width
        initial $fatal(1, "hwflow_firmware: IN_W (%0d) and OUT_W (%0d) must be 64 at most", IN_W, OUT_W);
    end

    typedef enum logic [1:0] {IN, TAKE, RUN, OUT} state_t;

    state_t state_reg;
    logic [31:0] beat_reg;

    longint inputs  [0:IN_BEATS*IN_LANES-1];
    longint outputs [0:OUT_BEATS*OUT_LANES-1];

    initial hwflow_firmware_open(IN_BEATS * IN_LANES, OUT_BEATS * OUT_LANES);

    assign s_tready = state_reg == IN;
    assign take_o   = state_reg == TAKE;
    assign m_tvalid = state_reg == OUT;

    always_comb begin
        for (int i = 0; i < OUT_LANES; i++) begin
            m_tdata[i*OUT_W+:OUT_W] = OUT_W'(outputs[beat_reg * OUT_LANES + i]);
        end
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            state_reg <= IN;
            beat_reg  <= '0;
        end else begin
            case (state_reg)
                IN: if (s_tvalid) begin
                    beat_reg <= (beat_reg == IN_BEATS - 1) ? '0 : beat_reg + 1;
                    if (beat_reg == IN_BEATS - 1) state_reg <= TAKE;
                end
                TAKE: state_reg <= RUN;
                RUN: state_reg <= OUT;
                default: if (m_tready) begin
                    beat_reg <= (beat_reg == OUT_BEATS - 1) ? '0 : beat_reg + 1;
                    if (beat_reg == OUT_BEATS - 1) state_reg <= IN;
                end
            endcase
        end
    end

    always @(posedge clk_i) begin
        if (s_tvalid && s_tready) begin
            for (int i = 0; i < IN_LANES; i++) begin
                inputs[beat_reg * IN_LANES + i] <= (IN_SIGNED != 0) ? 64'(signed'(s_tdata[i*IN_W+:IN_W]))
                                                                    : 64'(s_tdata[i*IN_W+:IN_W]);
            end
        end
        if (rst_ni && state_reg == RUN) hwflow_firmware_run(inputs, outputs);
    end

endmodule

`default_nettype wire
